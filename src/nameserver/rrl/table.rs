//! The accounts: a table of fixed size that all workers share.
//!
//! ```text
//! hash of the account ─► set of 8 slots ─► slot { key: the hash │ state: balance, second, slips, logged, tag }
//! ```
//!
//! A slot is two words, each changed by compare-and-exchange. A part of the hash stands in the state too (the tag), so
//! that whoever meets a state of the account that had the slot before takes it for a new one: no reader ever charges
//! one account for another. A debit that loses a race is made again, so that none is lost.
//!
//! Caveats: seconds are kept modulo 2^20; an account that was not used for twelve days to the minute may be taken for
//! one that was used just now, with the balance it had then.

use std::sync::atomic::{AtomicU64, Ordering};

/// Slots of a set: two cache lines.
const WAYS: usize = 8;
/// A clock may be so many seconds behind what another worker has read (BIND); farther back, it was set.
const TIME_TRAVEL_SECS_MAX: u32 = 5;
/// How often a slot is looked for while others change the set.
const TRIES_MAX: usize = 4;

const BALANCE_BITS: u32 = 24;
const SECOND_BITS: u32 = 20;
const SLIP_BITS: u32 = 4;
const SECOND_AT: u32 = BALANCE_BITS;
const SLIP_AT: u32 = SECOND_AT + SECOND_BITS;
const LOGGED: u64 = 1 << (SLIP_AT + SLIP_BITS);
const TAG_AT: u32 = SLIP_AT + SLIP_BITS + 1;
const TAG_MASK: u64 = u64::MAX << TAG_AT;
/// Set in every tag: a slot that nobody has used yet fits no account.
const USED: u64 = 1 << TAG_AT;

/// What an account is charged by.
#[derive(Clone, Copy, Debug)]
pub(super) struct Terms {
    /// Responses a second, at least 1.
    pub(super) rate: i32,
    /// For how many seconds a debt grows.
    pub(super) window_secs: u32,
    /// One of how many limited responses slips, at most 10; 0 = none.
    pub(super) slip: u32,
}

/// What became of a debit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Debit {
    /// Whether there was enough on the account.
    pub(super) is_covered: bool,
    /// If not: whether it is the turn of a response that slips.
    pub(super) slips: bool,
    /// Whether the account is marked as logged.
    pub(super) is_logged: bool,
}

/// One account at one moment.
#[derive(Clone, Copy)]
pub(super) struct State {
    pub(super) balance: i32,
    pub(super) second: u32,
    pub(super) slips: u32,
    pub(super) is_logged: bool,
}

impl State {
    pub(super) fn unpack(word: u64) -> State {
        let field = |at: u32, bits: u32| (word >> at) as u32 & ((1 << bits) - 1);
        State {
            // The sign is the highest bit of the field.
            balance: (field(0, BALANCE_BITS) << (32 - BALANCE_BITS)) as i32 >> (32 - BALANCE_BITS),
            second: field(SECOND_AT, SECOND_BITS),
            slips: field(SLIP_AT, SLIP_BITS),
            is_logged: word & LOGGED != 0,
        }
    }

    pub(super) fn pack(self, hash: u64) -> u64 {
        let balance = u64::from(self.balance as u32) & ((1 << BALANCE_BITS) - 1);
        let logged = if self.is_logged { LOGGED } else { 0 };
        balance | u64::from(self.second) << SECOND_AT | u64::from(self.slips) << SLIP_AT | logged | tag(hash)
    }

    /// Seconds since it was used; `None` = longer than anybody asks for.
    fn age(self, now: u32) -> Option<u32> {
        const SPAN: u32 = 1 << SECOND_BITS;
        let age = now.wrapping_sub(self.second) % SPAN;
        if age <= SPAN / 2 {
            Some(age)
        } else if SPAN - age <= TIME_TRAVEL_SECS_MAX {
            Some(0)
        } else {
            None
        }
    }
}

fn tag(hash: u64) -> u64 {
    hash << TAG_AT | USED
}

#[derive(Default)]
struct Slot {
    key: AtomicU64,
    state: AtomicU64,
}

#[derive(Default)]
#[repr(align(128))]
struct Set([Slot; WAYS]);

/// All accounts.
pub(super) struct Table {
    sets: Box<[Set]>,
}

/// Where an account is.
#[derive(Clone, Copy)]
pub(super) struct Account<'a> {
    slot: &'a Slot,
    hash: u64,
}

impl Table {
    /// Room for so many accounts, rounded up to whole sets.
    pub(super) fn new(accounts_max: usize) -> Table {
        let sets = accounts_max.div_ceil(WAYS).max(1);
        Table { sets: std::iter::repeat_with(Set::default).take(sets).collect() }
    }

    /// How many accounts fit.
    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.sets.len() * WAYS
    }

    fn set(&self, hash: u64) -> &Set {
        let index = ((u128::from(hash) * self.sets.len() as u128) >> 64) as usize;
        &self.sets[index]
    }

    /// The account, if it is there.
    pub(super) fn find(&self, hash: u64) -> Option<Account<'_>> {
        let slot = self.set(hash).0.iter().find(|slot| slot.key.load(Ordering::Relaxed) == hash)?;
        Some(Account { slot, hash })
    }

    /// The account; if it is new, in the place of one that is not missed. `None` if others were always faster.
    pub(super) fn open(&self, hash: u64, now: u32, window_secs: u32) -> Option<Account<'_>> {
        for _ in 0..TRIES_MAX {
            if let Some(account) = self.find(hash) {
                return Some(account);
            }
            let worth = |slot: &&Slot| slot.worth(now, window_secs);
            let slot = self.set(hash).0.iter().min_by_key(worth)?;
            let key = slot.key.load(Ordering::Relaxed);
            if slot.key.compare_exchange(key, hash, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
                return Some(Account { slot, hash });
            }
        }
        None
    }
}

impl Slot {
    /// What would be lost with the account in it: nothing, an idle one (the oldest first), one that is in debt or
    /// logged (BIND keeps those longest; the oldest first).
    fn worth(&self, now: u32, window_secs: u32) -> (u8, u32, i32) {
        let word = self.state.load(Ordering::Relaxed);
        if word & USED == 0 {
            return (0, 0, 0);
        }
        let state = State::unpack(word);
        let Some(age) = state.age(now) else { return (1, 0, 0) };
        let is_idle = !state.is_logged && (age > window_secs || age > 1 && state.balance >= 0);
        (if is_idle { 1 } else { 2 }, u32::MAX - age, -state.balance)
    }
}

impl Account<'_> {
    pub(super) fn hash(&self) -> u64 {
        self.hash
    }

    /// Takes one response off the account, after what was earned since the last time was credited.
    pub(super) fn debit(self, now: u32, terms: Terms) -> Debit {
        let mut word = self.slot.state.load(Ordering::Relaxed);
        loop {
            let (state, debit) = self.charged(word, now, terms);
            let new = state.pack(self.hash);
            match self.slot.state.compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return debit,
                Err(current) => word = current,
            }
        }
    }

    fn charged(self, word: u64, now: u32, terms: Terms) -> (State, Debit) {
        let Terms { rate, window_secs, slip } = terms;
        let second = now % (1 << SECOND_BITS);
        let fresh = State { balance: rate, second, slips: 0, is_logged: false };
        let mut state = self.current(word).unwrap_or(fresh);
        match state.age(now) {
            Some(0) => {}
            // BIND: an account older than the window begins anew; what was logged of it has not ended yet.
            Some(age) if age <= window_secs => {
                state.balance = state.balance.saturating_add(rate.saturating_mul(age as i32));
                state.second = second;
            }
            _ => state = State { is_logged: state.is_logged, ..fresh },
        }
        if state.balance > rate {
            state = State { balance: rate, slips: 0, ..state };
        }
        state.balance = (state.balance - 1).max(rate.saturating_mul(-(window_secs as i32)));
        let is_covered = state.balance >= 0;
        let slips = !is_covered && slip > 0 && state.slips == 0;
        if !is_covered && slip > 0 {
            let next = state.slips + 1;
            state.slips = if next >= slip { 0 } else { next };
        }
        (state, Debit { is_covered, slips, is_logged: state.is_logged })
    }

    /// What the account holds at this moment; `None` if it is new.
    fn current(self, word: u64) -> Option<State> {
        (word & TAG_MASK == tag(self.hash)).then(|| State::unpack(word))
    }

    /// Notes that it was used now.
    pub(super) fn touch(self, now: u32) {
        let state = State { balance: 0, second: now % (1 << SECOND_BITS), slips: 0, is_logged: false };
        self.slot.state.store(state.pack(self.hash), Ordering::Relaxed);
    }

    /// Seconds since it was last used, and its balance then.
    pub(super) fn look(self, now: u32) -> Option<(u32, i32)> {
        let state = self.current(self.slot.state.load(Ordering::Relaxed))?;
        Some((state.age(now)?, state.balance))
    }

    /// Marks the account as logged, or no longer so; whoever has the slot by now is left alone.
    pub(super) fn set_logged(self, is_logged: bool) {
        let mut word = self.slot.state.load(Ordering::Relaxed);
        while let Some(state) = self.current(word) {
            let new = State { is_logged, ..state }.pack(self.hash);
            match self.slot.state.compare_exchange_weak(word, new, Ordering::Relaxed, Ordering::Relaxed) {
                Ok(_) => return,
                Err(current) => word = current,
            }
        }
    }
}
