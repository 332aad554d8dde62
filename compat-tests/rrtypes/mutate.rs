//! Makes many texts and octet strings, most of them illegal, out of a legal one.

/// What a token is replaced by.
const JUNK: [&str; 18] = [
    "junk",
    "0",
    "1",
    "-1",
    "+1",
    "255",
    "256",
    "65535",
    "65536",
    "4294967295",
    "4294967296",
    "99999999999999999999",
    "\"\"",
    "\"a b\"",
    ".",
    "@",
    "\\000",
    "-",
];

/// Splits at blanks outside quotes; quotes stay.
pub(super) fn tokens(text: &str) -> Vec<&str> {
    let (mut found, mut start, mut quoted, mut escaped) = (Vec::new(), None, false, false);
    for (at, byte) in text.bytes().enumerate() {
        if !quoted && !escaped && matches!(byte, b' ' | b'\t') {
            found.extend(start.take().map(|start| &text[start..at]));
            continue;
        }
        start.get_or_insert(at);
        quoted ^= byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
    }
    found.extend(start.map(|start| &text[start..]));
    found
}

/// The entry cut after each token, with a token more, and with each token replaced, quoted, cut, or doubled.
pub(super) fn text(entry: &str) -> Vec<String> {
    let all = tokens(entry);
    let (kind, rdata) = all.split_first().expect("an entry has a type");
    let mut found = Vec::new();
    let mut push = |tokens: &[&str]| found.push(format!("{kind} {}", tokens.join(" ")));
    for count in 0..rdata.len() {
        push(&rdata[..count]);
    }
    for more in ["extra", "\"\"", "0", "A"] {
        push(&[rdata, &[more]].concat());
    }
    // Long lists are of one kind: their first and last tokens stand for all.
    for index in (0..rdata.len()).filter(|&index| index < 8 || index + 1 == rdata.len()) {
        let token = rdata[index];
        let mut replace = |by: &str| push(&[&rdata[..index], &[by], &rdata[index + 1..]].concat());
        for junk in JUNK {
            replace(junk);
        }
        if !token.contains('"') {
            replace(&format!("\"{token}\""));
            replace(&format!("{token}x"));
            replace(&token.to_uppercase());
            replace(&token.to_lowercase());
            // A backslash at the end of a token would escape the blank behind it.
            if let Some((last, _)) =
                token.char_indices().last().filter(|&(at, _)| at > 0 && !token[..at].ends_with('\\'))
            {
                replace(&token[..last]);
            }
        }
        replace(&format!("{token} {token}"));
    }
    found
}

/// Every truncation, extensions by one octet, and single octets changed.
pub(super) fn octets(octets: &[u8]) -> Vec<Vec<u8>> {
    let mut found: Vec<Vec<u8>> = (0..=octets.len()).map(|end| octets[..end].to_vec()).collect();
    for more in [0, 1, 63, 64, 192, 255] {
        found.push([octets, &[more]].concat());
    }
    for at in (0..octets.len()).filter(|&at| at < 48) {
        for octet in
            [0, octets[at].wrapping_add(1), octets[at].wrapping_sub(1), octets[at] ^ 0x80, 0x40, 0xff]
        {
            let mut changed = octets.to_vec();
            changed[at] = octet;
            found.push(changed);
        }
    }
    found
}
