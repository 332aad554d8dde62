//! A small file that shows what a large one showed.

use std::any::Any;

/// How often a file is tried while it is made smaller.
const ATTEMPTS_MAX: usize = 4_000;

/// Leaves out ever smaller parts of `input` as long as `fails` says that it still does.
///
/// Panics are not printed meanwhile.
pub(super) fn minimise(input: &[u8], fails: impl Fn(&[u8]) -> bool) -> Vec<u8> {
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(|_| {}));
    let mut small = input.to_vec();
    let (mut attempts, mut part) = (0, input.len() / 2);
    while part > 0 && attempts < ATTEMPTS_MAX {
        let mut at = 0;
        let before = small.len();
        while at < small.len() && attempts < ATTEMPTS_MAX {
            let without = [&small[..at], &small[(at + part).min(small.len())..]].concat();
            attempts += 1;
            if fails(&without) {
                small = without;
            } else {
                at += part;
            }
        }
        if small.len() == before || part > small.len() {
            part /= 2;
        }
    }
    std::panic::set_hook(print);
    small
}

/// What a panic said.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    format!("panic: {}", text.or(panic.downcast_ref::<&str>().copied()).unwrap_or("without a text"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_matter_is_left_out() {
        let fails = |input: &[u8]| input.contains(&b'x') && input.contains(&b'y');
        assert_eq!(minimise(b"some text with x and more text and y in it", fails), b"xy");
    }
}
