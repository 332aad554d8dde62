//! One line on how to mend each kind of finding.

use crate::dns::{Name, RrType};
use crate::zone::check::{Finding, Glue, Missing, OutsideTrouble, Trouble};
use crate::zonefile::{Kind, Near};

/// How to mend what the reader noticed.
pub(super) fn of_kind(kind: &Kind) -> String {
    let text = match kind {
        Kind::Rdata { near, reason } => return of_rdata(near, reason),
        Kind::Syntax(reason) | Kind::Lexical { reason, .. } | Kind::Generate(reason) => of_reason(reason),
        Kind::EndOfLine { .. } => "the line ends too early: write [owner] [TTL] [class] type data",
        Kind::EndOfFile { .. } => {
            "the file ends in the middle of a line: write the rest of it, and a newline"
        }
        Kind::UnknownType(text) => return of_unknown_type(text),
        Kind::UnknownDirective(text) => return of_directive(text),
        Kind::BadTtl(_) => "a TTL is a number of seconds, or numbers with units: 3600, 1h, 1d12h",
        Kind::WrongClass { found, zone } => {
            return format!("the zone has class {zone}: leave {found} out, or check with -c {found}");
        }
        Kind::NoOwner => {
            "a line that starts with a blank takes the owner of the record before, and there is none: write the \
             owner, or @ for the zone itself"
        }
        Kind::DateOutsideEpoch | Kind::DateInFuture => {
            "$DATE tells when a cache was dumped, as YYYYMMDDHHMMSS in UTC: a zone needs none, take it out"
        }
        Kind::IncludeWithDate => "$DATE belongs to cache dumps, which include nothing: take it out",
        Kind::NoTtl | Kind::GenerateNoTtl => "write $TTL in front of the first record, for example $TTL 1h",
        Kind::SoaMinimum => "write $TTL in front of the SOA record to say what TTL records have by default",
        Kind::Rfc1035Ttl => {
            "this record takes the TTL of the one before it: write $TTL at the top of the file"
        }
        Kind::PriorTtl(ttl) => {
            return format!(
                "records of one owner and type have one TTL (RFC 2181 §5.2): write {ttl} here, or another TTL \
                 for all of them"
            );
        }
        Kind::TtlTooLong(_) => "the longest TTL is 2147483647 seconds (RFC 2181 §8); a day is 86400",
        Kind::TtlAboveMaximum { maximum, .. } => {
            return format!("write a TTL of at most {maximum}, or raise max-zone-ttl (-l)");
        }
        Kind::OutOfZone(name) => {
            return format!(
                "{} is not in this zone: look for a final dot too many in the owner, a wrong $ORIGIN, or a wrong \
                 zone on the command line",
                name.undotted()
            );
        }
        Kind::InheritedOwner { owner, .. } => {
            return format!(
                "the record belongs to {}, the owner in front of $ORIGIN: write that name, or @ for the new origin",
                owner.undotted()
            );
        }
        Kind::InnerWildcard(_) => {
            "* stands for other labels only if it is the first one (RFC 4592 §2.1.1): move it to the front"
        }
        Kind::BadOwner(_) | Kind::BadName(_) => {
            "a host name has letters, digits and hyphens only, and no hyphen at either end of a label; -k ignore \
             lets others pass"
        }
        Kind::NsIsAddress(_) => {
            "NS points to a name: write the name of the server here, and its address as an A or AAAA record of \
             that name"
        }
        Kind::MxIsAddress(_) => {
            "MX points to a name: write the name of the mail server here, and its address as an A or AAAA record \
             of that name"
        }
        Kind::NotAtTop(_) => {
            "SOA belongs to the name of the zone only: write @ as its owner, or check $ORIGIN"
        }
        Kind::AtTop(_) => "DS belongs into the parent zone: hand it to the registrar and remove it here",
        Kind::Obsolete(_) => "MD and MF have been replaced by MX (RFC 973): write @ MX 10 host",
        Kind::MetaType(_) => "this type is used in queries only: no zone can have such records",
        Kind::SignatureExpired => "sign the zone again: validating resolvers treat these records as forged",
        Kind::OldDnssec => "SIG and NXT have been replaced by RRSIG and NSEC (RFC 3755): sign the zone again",
        Kind::NoFinalNewline { .. } => "end the file with a newline: the last line may have been cut off",
        Kind::Include { reason, .. } | Kind::Unreadable(reason) => of_unreadable(reason),
        Kind::NotAFile => "this is a directory: name a file in it",
        Kind::GenerateRange(_) => "a range is start-stop or start-stop/step, ascending: 1-254 or 0-30/2",
        Kind::GenerateType(text) => return of_unknown_type(text),
        Kind::GenerateMeta(_) => "$GENERATE makes records of types that a zone can have",
        Kind::Conflict { reason, .. } | Kind::RawConflict { reason, .. } => of_reason(reason),
        Kind::Journal(_) => {
            "a journal goes with one zone file: leave out -j, or take the file that named wrote beside the journal"
        }
        Kind::Raw(_) | Kind::RawFormat(_) | Kind::Covers(_) => {
            "the file is damaged, or not in raw format: make it again with compilezone -F raw"
        }
    };
    text.to_owned()
}

fn of_rdata(near: &Near, reason: &str) -> String {
    let word = match near {
        Near::Word(word) => word.as_str(),
        _ => "",
    };
    let text = match reason {
        "bad dotted quad" if word.contains(':') => "this is an IPv6 address: the type for it is AAAA",
        "bad IPv6 address" if word.contains('.') && !word.contains(':') => {
            "this is an IPv4 address: the type for it is A"
        }
        "extra input text" => "this is more than the type has: remove it, or quote text that has blanks",
        "unexpected end of input" if *near == Near::EndOfLine || *near == Near::EndOfFile => {
            "the data is incomplete: see the form of this type, and put ( in front of data that goes on in the next \
             line"
        }
        "MX is an address" => return of_kind(&Kind::MxIsAddress(String::new())),
        reason => of_reason(reason),
    };
    text.to_owned()
}

/// What BIND's result texts mean for whoever wrote the file.
fn of_reason(reason: &str) -> &'static str {
    match reason {
        "bad dotted quad" => "an IPv4 address is four numbers from 0 to 255 without leading zeros: 192.0.2.1",
        "bad IPv6 address" => {
            "an IPv6 address is up to eight groups of hexadecimal digits, :: standing for zeros once: 2001:db8::1"
        }
        "extra input text" => "the line has a word too many: remove it, or put ; in front of a comment",
        "unexpected end of input" => "something is missing at the end: compare with the form of this type",
        "unbalanced quotes" => "close the quote on the same line, or write \\\" for a quote that is meant",
        "unbalanced parentheses" => "every ( needs its ): look at the record in which the first one opens",
        "empty label" => "two dots stand side by side, or a dot in front: remove one",
        "label too long" => {
            "a label, the part between two dots, has at most 63 octets: look for a missing dot"
        }
        "bad escape" => "behind \\ stands one character, or three decimal digits up to 255: \\. or \\046",
        "ran out of space" => "this is too long: a name has at most 255 octets, a quoted string as well",
        "text too long" => "a quoted string has at most 255 octets: cut it into several, \"...\" \"...\"",
        "bad hex encoding" => "write an even number of hexadecimal digits; blanks may stand between them",
        "bad base64 encoding" => {
            "the text is not base64: look for a character that was lost, and for = at its end"
        }
        "bad base32 encoding" => "the text is not base32hex (RFC 4648 §7): digits and letters from A to V",
        "not a valid number" => {
            "a decimal number stands here: look for a field that is missing in front of it"
        }
        "out of range" | "bad ttl" => {
            "the number is outside of what the field holds: 0 to 255 or 65535 for most"
        }
        "unknown class/type" => "this is no type: write its mnemonic, or TYPE and its number",
        "unexpected token" => {
            "something else stands here in this type: check the order of the fields, and quotes"
        }
        "bad name (check-names)" => {
            "write a host name: letters, digits and hyphens; -k ignore lets others pass"
        }
        "invalid NS owner name (wildcard)" => {
            "a wildcard cannot be delegated (RFC 4592 §4.2): name each zone"
        }
        "CNAME and other data" => {
            "an alias has no other records (RFC 1034 §3.6.2): remove the CNAME or the others; at the name of the zone \
             use A and AAAA"
        }
        "multiple RRs of singleton type" => {
            "keep one of these records: an owner has at most one of this type"
        }
        "not implemented" => {
            "this form of the type is not understood: write the data as \\# length hex (RFC 3597)"
        }
        "disallowed (by application policy)" => {
            "a parameter stands twice or must not stand here: see RFC 9460 §2.2"
        }
        "invalid use of a meta type" => "this type is used in queries only: remove it from the list",
        "inconsistent resource record" => {
            "fields of this record contradict each other: check lengths and counts"
        }
        _ => "compare the line with the form that the type has",
    }
}

fn of_unknown_type(text: &str) -> String {
    // A word of one edit's distance is what was meant, most of the time.
    let upper = text.to_ascii_uppercase();
    let similar = (1..=u16::from(u8::MAX)).map(|number| RrType(number).to_string());
    let similar = similar.filter(|known| !known.starts_with("TYPE")).find(|known| is_near(known, &upper));
    match similar {
        Some(known) => format!("did you mean {known}?"),
        None if text.parse::<f64>().is_ok() || text.contains('.') => format!(
            "the type is missing in front of '{text}', or a line that goes on from the one before lacks its ("
        ),
        None => "write the mnemonic of a type (A, MX, TXT ...), or TYPE and its number; a line that goes on from the \
                 one before needs parentheses"
            .to_owned(),
    }
}

fn of_directive(text: &str) -> String {
    let known = ["$TTL", "$ORIGIN", "$INCLUDE", "$GENERATE"];
    let upper = text.to_ascii_uppercase();
    match known.into_iter().find(|known| is_near(known, &upper)) {
        Some(known) => format!("did you mean {known}?"),
        None => format!("directives are {}; an owner that starts with $ is written \\$", known.join(", ")),
    }
}

fn of_unreadable(reason: &str) -> &'static str {
    match reason {
        "file not found" => "check the name: it is relative to the working directory (-w), not to this file",
        "permission denied" => "make the file and its directories readable for the user that reads it",
        "too many open files" => "files include each other in a circle: remove one $INCLUDE",
        "more than 1 GiB from a pipe or device" => "if there is an end to it, put it into a file first",
        _ => "the file cannot be read to its end: check the disk and the file",
    }
}

/// Whether one word becomes the other by adding, leaving out, changing or swapping one character.
fn is_near(left: &str, right: &str) -> bool {
    let (left, right) = (left.as_bytes(), right.as_bytes());
    let same = left.iter().zip(right).take_while(|(a, b)| a == b).count();
    let (a, b) = (&left[same..], &right[same..]);
    let without_first = |text: &[u8], count: usize| text.get(count..).map(<[u8]>::to_vec);
    left.len().abs_diff(right.len()) <= 1
        && left.len().max(right.len()) > 2
        && (a == b
            || without_first(a, 1) == without_first(b, 1) && a.len() == b.len()
            || without_first(a, 1).as_deref() == Some(b)
            || without_first(b, 1).as_deref() == Some(a)
            || matches!((a, b), ([p, q, x @ ..], [r, s, y @ ..]) if p == s && q == r && x == y))
}

/// How to mend what was found in a zone.
pub(super) fn of_finding(finding: &Finding, apex: &Name) -> String {
    match finding {
        Finding::SoaCount(0) => {
            "a zone begins with its SOA record: @ SOA server mailbox serial refresh retry expire \
                                 minimum; check the name of the zone, too"
                .into()
        }
        Finding::SoaCount(_) => "keep one SOA record".into(),
        Finding::NoNs => "say which servers serve the zone: @ NS ns1, and an address for ns1".into(),
        Finding::ApexNs { target, trouble } | Finding::Target { target, trouble, .. } => {
            let relative = relative_host(target, apex);
            let target = target.undotted();
            match trouble {
                Trouble::NoAddress(Glue::None) => match relative {
                    Some(host) => format!(
                        "if {host} is meant, write {host}. with a final dot; otherwise add an A or AAAA record for \
                         {target}"
                    ),
                    None => {
                        format!("add an A or AAAA record for {target}, or mend the name; outside names end in a dot")
                    }
                },
                Trouble::NoAddress(_) => format!("add glue: an A or AAAA record for {target} in this zone"),
                Trouble::Cname => format!("name the host that {target} is an alias of (RFC 2181 §10.3)"),
                Trouble::BelowDname(dname) => {
                    format!(
                        "{} sends everything below it elsewhere: name a host that is not",
                        dname.undotted()
                    )
                }
            }
        }
        Finding::Outside { target, trouble: OutsideTrouble::Cname(canonical), .. } => {
            format!("name {canonical} instead of its alias {} (RFC 2181 §10.3)", target.undotted())
        }
        Finding::GlueDiffers { address, missing: Missing::Here, target, .. } => {
            format!("add {address} to the glue of {}, or correct the zone that the server is in", target.undotted())
        }
        Finding::GlueDiffers { address, missing: Missing::There, target, .. } => {
            format!("{} has no such address any more: remove {address} from the glue", target.undotted())
        }
        Finding::NotResolved { .. } => {
            "the resolver of this machine did not answer: try again, or leave outside names out with -i local".into()
        }
        Finding::Outside { target, .. } => {
            format!(
                "check the spelling of {}, and whether it resolves; -i local leaves this out",
                target.undotted()
            )
        }
        Finding::SpfOnly(_) => {
            "write the same text as a TXT record: SPF records are not read (RFC 7208 §3.1)".into()
        }
        Finding::Duplicates { .. } => {
            "keep one of the records: they differ in the case of letters only".into()
        }
        Finding::DeprecatedAlgorithm { .. } | Finding::DeprecatedKey(_) | Finding::OnlyDeprecatedKeys => {
            "roll over to ECDSAP256SHA256 (13) or ED25519 (15): see RFC 8624 §3.1".into()
        }
        Finding::BadCds => {
            "publish a CDS or CDNSKEY for a key that signs the DNSKEY records, with algorithms of these keys only".into()
        }
        Finding::DeprecatedCdsDigest(_) => "publish CDS records with digest type 2 (SHA-256)".into(),
        Finding::DeprecatedDigest { .. } => "replace it by a DS record with digest type 2 (SHA-256)".into(),
        Finding::WeakKey { .. } => "make a new key with exponent 65537".into(),
        Finding::UnknownNsec3Hash(_) | Finding::NoNsec3Hash => {
            "the only hash algorithm of NSEC3 is 1 (SHA-1): sign the zone with it, or with NSEC".into()
        }
        Finding::Nsec3Iterations(_) => "sign the zone with 0 iterations (RFC 9276 §3.1)".into(),
    }
}

/// What stands in front of the zone's name in `target`, if it looks like the name of a host elsewhere.
fn relative_host(target: &Name, apex: &Name) -> Option<String> {
    let (full, zone) = (target.undotted().to_string(), apex.undotted().to_string());
    let (host, end) = full.split_at_checked(full.len().checked_sub(zone.len() + 1)?)?;
    let is_below = end.strip_prefix('.').is_some_and(|end| end.eq_ignore_ascii_case(&zone));
    let top = host.rsplit_once('.')?.1;
    let is_host = top.len() > 1 && top.bytes().all(|octet| octet.is_ascii_alphabetic());
    (is_below && is_host).then(|| host.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_final_dot_that_was_forgotten_is_noticed() {
        let host = |target: &str| relative_host(&target.parse().unwrap(), &"example.com.".parse().unwrap());
        assert_eq!(host("mail.example.com.Example.com.").as_deref(), Some("mail.example.com"));
        assert_eq!(host("mail.example.net.example.com.").as_deref(), Some("mail.example.net"));
        for other in
            ["mail.example.com.", "example.com.", "192.0.2.1.example.com.", "com.", "a.b.example.net."]
        {
            assert_eq!(host(other), None, "{other}");
        }
    }

    #[test]
    fn words_that_were_meant_are_named() {
        let check = |text: &str, expected: &str| {
            assert_eq!(of_unknown_type(text), format!("did you mean {expected}?"))
        };
        check("CNMAE", "CNAME");
        check("cname1", "CNAME");
        check("AAA", "AAAA");
        check("TXR", "TXT");
        assert_eq!(of_directive("$TLL"), "did you mean $TTL?");
        assert_eq!(of_directive("$INLCUDE"), "did you mean $INCLUDE?");
        assert!(of_directive("$FOO").contains("$ORIGIN"));
        assert!(of_unknown_type("10.0.0.1").contains("is missing in front"));
        assert!(of_unknown_type("xyzzy").starts_with("write the mnemonic"));
    }

    #[test]
    fn addresses_of_the_other_family_are_recognised() {
        let hint = |word: &str, reason| of_rdata(&Near::Word(word.into()), reason);
        assert!(hint("2001:db8::1", "bad dotted quad").contains("AAAA"));
        assert!(hint("192.0.2.1", "bad IPv6 address").ends_with("is A"));
        assert!(hint("192.0.2", "bad dotted quad").contains("four numbers"));
    }
}
