//! Files made from files: a few changes each, of the kinds that break readers.

use crate::harness::rng::Rng;

/// Longest file that is made.
const BYTES_MAX: usize = 256 << 10;
/// Longest number that is left behind `$GENERATE`: its range is work that the file asks for.
const RANGE_DIGITS_MAX: usize = 3;

/// Bytes that mean something to one of the readers, or to none.
const SPECIAL: &[u8] = b"\n\r\t \"\\();$@*._-/{}!,=#'\x00\x01\x7f\x80\xc0\xff";
/// Numbers at which arithmetic ends.
const NUMBERS: [&str; 14] = [
    "0",
    "1",
    "63",
    "64",
    "255",
    "256",
    "65535",
    "65536",
    "2147483647",
    "2147483648",
    "4294967295",
    "4294967296",
    "18446744073709551616",
    "-1",
];

/// One of `seeds`, changed in one to eight places.
pub(super) fn mutated(seeds: &[Vec<u8>], rng: &mut Rng) -> Vec<u8> {
    let mut file = rng.pick(seeds).clone();
    for _ in 0..1 + rng.below(8) {
        change(&mut file, seeds, rng);
        file.truncate(BYTES_MAX);
    }
    shorten_ranges(&mut file);
    file
}

/// A binary file with up to five octets, numbers or parts of it changed; most keep their place.
pub(super) fn damaged(mut file: Vec<u8>, rng: &mut Rng) -> Vec<u8> {
    for _ in 0..rng.below(6) {
        let at = rng.below(file.len() + 1);
        let number =
            *rng.pick(&[0, 1, 2, 10, 11, 63, 255, 256, 0xffff, 0x1_0000, 0x7fff_ffff, 0x8000_0000, u32::MAX]);
        match rng.below(10) {
            0 | 1 => overwrite(&mut file, at, &[1 << rng.below(8)]),
            2 | 3 => overwrite(&mut file, at, &number.to_be_bytes()),
            4 | 5 => overwrite(&mut file, at, &(number as u16).to_be_bytes()),
            6 => overwrite(&mut file, at, &[*rng.pick(SPECIAL)]),
            7 => {
                let part = part(&file.clone(), rng);
                overwrite(&mut file, at, &part);
            }
            8 => change(&mut file, &[b"\xc0\x0c\0\x3f".to_vec()], rng),
            _ => file.truncate(at),
        }
        file.truncate(BYTES_MAX);
    }
    file
}

fn overwrite(file: &mut [u8], at: usize, octets: &[u8]) {
    for (place, octet) in file.iter_mut().skip(at).zip(octets) {
        *place = *octet;
    }
}

fn change(file: &mut Vec<u8>, seeds: &[Vec<u8>], rng: &mut Rng) {
    let at = rng.below(file.len() + 1);
    match rng.below(14) {
        0 => {
            if let Some(byte) = file.get_mut(at) {
                *byte ^= 1 << rng.below(8);
            }
        }
        1 => file.insert(at, *rng.pick(SPECIAL)),
        2 => {
            if let Some(byte) = file.get_mut(at) {
                *byte = *rng.pick(SPECIAL);
            }
        }
        3 => {
            let end = (at + 1 + rng.below(20)).min(file.len());
            file.drain(at.min(end)..end);
        }
        4 => {
            let part = part(file, rng);
            file.splice(at..at, part);
        }
        5 => {
            let part = part(pick(seeds, rng), rng);
            file.splice(at..at, part);
        }
        6 | 7 => {
            let word = word(pick(seeds, rng), rng);
            replace_word(file, at, &word);
        }
        8 => {
            let number = NUMBERS[rng.below(NUMBERS.len())].as_bytes();
            replace_word(file, at, number);
        }
        9 => {
            let word = word(pick(seeds, rng), rng);
            file.splice(at..at, [b" ", word.as_slice(), b" "].concat());
        }
        10 => {
            let line = line(pick(seeds, rng), rng);
            let start = start_of_line(file, at);
            file.splice(start..start, line);
        }
        11 => {
            let start = start_of_line(file, at);
            let end = end_of_line(file, start);
            file.drain(start..end);
        }
        12 => {
            let run = vec![*rng.pick(SPECIAL); [2, 64, 256, 70_000][rng.below(4)]];
            file.splice(at..at, run);
        }
        _ => file.truncate(at),
    }
}

fn pick<'a>(seeds: &'a [Vec<u8>], rng: &mut Rng) -> &'a [u8] {
    &seeds[rng.below(seeds.len())]
}

fn part(file: &[u8], rng: &mut Rng) -> Vec<u8> {
    let start = rng.below(file.len() + 1);
    let end = (start + rng.below(120)).min(file.len());
    file[start..end].to_vec()
}

fn start_of_line(file: &[u8], at: usize) -> usize {
    file[..at.min(file.len())].iter().rposition(|&byte| byte == b'\n').map_or(0, |newline| newline + 1)
}

fn end_of_line(file: &[u8], at: usize) -> usize {
    file[at..].iter().position(|&byte| byte == b'\n').map_or(file.len(), |newline| at + newline + 1)
}

fn line(file: &[u8], rng: &mut Rng) -> Vec<u8> {
    let start = start_of_line(file, rng.below(file.len() + 1));
    file[start..end_of_line(file, start)].to_vec()
}

/// The word around `at`: what stands between blanks.
fn word_at(file: &[u8], at: usize) -> std::ops::Range<usize> {
    let at = at.min(file.len());
    let start = file[..at].iter().rposition(u8::is_ascii_whitespace).map_or(0, |blank| blank + 1);
    let end = file[at..].iter().position(u8::is_ascii_whitespace).map_or(file.len(), |blank| at + blank);
    start..end
}

fn word(file: &[u8], rng: &mut Rng) -> Vec<u8> {
    file[word_at(file, rng.below(file.len() + 1))].to_vec()
}

fn replace_word(file: &mut Vec<u8>, at: usize, word: &[u8]) {
    let range = word_at(file, at);
    file.splice(range, word.iter().copied());
}

/// Shortens the numbers of every range behind `$GENERATE`.
fn shorten_ranges(file: &mut Vec<u8>) {
    const DIRECTIVE: &[u8] = b"$GENERATE";
    let mut at = 0;
    while let Some(found) =
        file[at..].windows(DIRECTIVE.len()).position(|window| window.eq_ignore_ascii_case(DIRECTIVE))
    {
        at += found + DIRECTIVE.len();
        let (mut digits, mut here) = (0, at);
        // The range may stand on a later line, in parentheses: all numbers for a while.
        while here < file.len().min(at + 200) {
            digits = if file[here].is_ascii_digit() { digits + 1 } else { 0 };
            if digits > RANGE_DIGITS_MAX {
                file.remove(here);
                digits -= 1;
            } else {
                here += 1;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_its_files_and_ranges_stay_short() {
        let seeds = [b"$generate 1-123456/99999 a$ A 192.0.2.$\na b c\n".to_vec(), b"x y\n".to_vec()];
        let made = |seed| {
            let mut rng = Rng::new(seed);
            (0..200).map(|_| mutated(&seeds, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        let mut file = seeds[0].clone();
        shorten_ranges(&mut file);
        assert_eq!(file, b"$generate 1-123/999 a$ A 192.0.2.$\na b c\n");
    }
}
