//! check-names: which names must be host names or mailboxes (RFC 952, RFC 1123 §2.1; BIND's `check-names`).

use crate::dns::name::{self, Labels};
use crate::dns::{Class, RrType};

/// What a name must look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// Letters, digits and inner hyphens in every label.
    Host,
    /// A printable first label in front of a host name.
    Mailbox,
}

/// Whether the wire name has the form.
pub(super) fn has_form(wire: &[u8], form: Form) -> bool {
    let mut labels = name::labels(wire);
    if form == Form::Mailbox {
        let Some(local) = labels.next() else { return true };
        return local.iter().all(u8::is_ascii_graphic) && is_host(labels);
    }
    is_host(labels)
}

fn is_host(mut labels: Labels<'_>) -> bool {
    labels.all(is_host_label)
}

/// The octets of host names: letters and digits 2, the hyphen 1, others 0.
static HOST_OCTETS: [u8; 256] = {
    let mut octets = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        if (octet as u8).is_ascii_alphanumeric() {
            octets[octet] = 2;
        }
        octet += 1;
    }
    octets[b'-' as usize] = 1;
    octets
};

fn is_host_label(label: &[u8]) -> bool {
    let kind = |octet: &u8| HOST_OCTETS[*octet as usize];
    let ends = [label.first(), label.last()];
    ends.into_iter().flatten().all(|octet| kind(octet) == 2) && label.iter().all(|octet| kind(octet) > 0)
}

/// Whether the wire name `owner` may have records of the type under check-names. A wildcard may; so may the
/// names under which Active Directory publishes its global catalogue (`gc._msdcs.forest`).
pub(super) fn is_owner(owner: &[u8], class: Class, rtype: RrType) -> bool {
    match rtype.0 {
        // BIND: these types are known in the class IN alone, A in CH too.
        1 if ![Class::IN, Class::CH].contains(&class) => true,
        11 | 28 | 38 if class != Class::IN => true,
        // MB, MG
        7 | 8 => has_form(owner, Form::Mailbox),
        // A, WKS, MX, AAAA, A6
        1 | 11 | 15 | 28 | 38 => is_host(host_part(owner, rtype)),
        // OPT, which is no record of a zone; BIND says this of it as well.
        41 => owner == [0],
        // NSEC3: a hash in base32hex.
        50 => name::labels(owner)
            .next()
            .is_none_or(|label| data_encoding::BASE32HEX_NOPAD.decode(&label.to_ascii_uppercase()).is_ok()),
        _ => true,
    }
}

/// The labels that must be those of a host.
fn host_part(owner: &[u8], rtype: RrType) -> Labels<'_> {
    let labels = name::labels(owner);
    let mut rest = labels.clone();
    let first_two = [rest.next(), rest.next()].map(|label| label.unwrap_or_default());
    if first_two[0] == b"*" {
        let mut behind = labels;
        behind.next();
        return behind;
    }
    let is_catalogue = matches!(rtype, RrType::A | RrType::AAAA)
        && first_two[0].eq_ignore_ascii_case(b"gc")
        && first_two[1].eq_ignore_ascii_case(b"_msdcs");
    if is_catalogue { rest } else { labels }
}

/// The names in RDATA that check-names looks at: index among the tokens, index among the names, form.
///
/// `reverse` says that the owner stands for an address, where PTR must point to hosts; `number` is what the RDATA
/// begins with, if that is a number.
pub(super) fn checked(rtype: RrType, reverse: bool, number: Option<u16>) -> &'static [(usize, usize, Form)] {
    match rtype.0 {
        2 => &[(0, 0, Form::Host)],
        6 => &[(0, 0, Form::Host), (1, 1, Form::Mailbox)],
        12 if reverse => &[(0, 0, Form::Host)],
        14 => &[(0, 0, Form::Mailbox), (1, 1, Form::Mailbox)],
        // MX, AFSDB, RT
        15 | 18 | 21 => &[(1, 0, Form::Host)],
        17 => &[(0, 0, Form::Mailbox)],
        33 => &[(3, 0, Form::Host)],
        // A6: behind a prefix of full length there is no address.
        38 if number == Some(128) => &[(1, 0, Form::Host)],
        38 => &[(2, 0, Form::Host)],
        // SVCB and HTTPS, but not in the alias form.
        64 | 65 if number != Some(0) => &[(1, 0, Form::Host)],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dns::Name;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn host_names_have_letters_digits_and_inner_hyphens() {
        let is = |text: &str, form| has_form(name(text).as_wire(), form);
        for good in [".", "a.", "a-b.c1.", "1.2.in-addr.arpa."] {
            assert!(is(good, Form::Host), "{good}");
        }
        for bad in ["_a.", "a_b.", "-a.", "a-.", "*.a.", "a\\032b."] {
            assert!(!is(bad, Form::Host), "{bad}");
        }
        assert!(is("host\\.master.example.", Form::Mailbox));
        assert!(is("hostmaster.", Form::Mailbox));
        assert!(!is("a\\032b.example.", Form::Mailbox));
    }

    #[test]
    fn owners_of_addresses_are_hosts_or_wildcards() {
        let is = |owner: &str, rtype| is_owner(name(owner).as_wire(), Class::IN, rtype);
        assert!(is("*.example.", RrType::A));
        assert!(is("gc._msdcs.example.", RrType::A));
        assert!(!is("_x.example.", RrType::AAAA));
        assert!(is("_x.example.", RrType::TXT));
        assert!(is("2t7b4g4vsa5smi47k61mv5bv1a22bojr.example.", RrType::NSEC3));
        assert!(!is("x.example.", RrType::NSEC3));
        let is_of = |class, rtype| is_owner(name("_x.example.").as_wire(), class, rtype);
        assert!(!is_of(Class::CH, RrType::A) && is_of(Class::HS, RrType::A) && is_of(Class(77), RrType::A));
        assert!(is_of(Class::CH, RrType::AAAA) && !is_of(Class::HS, RrType::MX));
    }
}
