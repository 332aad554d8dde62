//! A file that shows a difference, made smaller while it still shows it.

/// How often a candidate is tried at most: each costs two programs.
const TRIALS_MAX: usize = 400;

/// Takes away lines, then tokens, as long as `differs` holds.
pub(super) fn minimise(text: &[u8], mut differs: impl FnMut(&[u8]) -> bool) -> Vec<u8> {
    let mut trials = 0;
    let mut smallest = text.to_vec();
    for separator in [b'\n', b' '] {
        let mut size = smallest.split(|&byte| byte == separator).count() / 2;
        while size > 0 && trials < TRIALS_MAX {
            let mut at = 0;
            loop {
                let parts: Vec<&[u8]> = smallest.split(|&byte| byte == separator).collect();
                if at >= parts.len() || trials >= TRIALS_MAX {
                    break;
                }
                let end = (at + size).min(parts.len());
                let candidate = [&parts[..at], &parts[end..]].concat().join(&separator);
                trials += 1;
                if candidate.len() < smallest.len() && differs(&candidate) {
                    smallest = candidate;
                } else {
                    at += size;
                }
            }
            size /= 2;
        }
    }
    smallest
}
