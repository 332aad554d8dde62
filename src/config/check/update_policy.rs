//! The rules of `update-policy`.

use super::super::tree::Entry;
use super::super::values::{Located, Value};
use super::{Checker, domain_name, is_rr_type};

impl<'a> Checker<'a> {
    pub(super) fn update_policy(&mut self, entry: &Entry) {
        for rule in entry.list() {
            // mode, identity, how it matches, [ name ], types
            let [_, identity, matching, rest @ ..] = rule.as_slice() else { continue };
            let how = matching.text().unwrap_or_default();
            let (name, types) = match rest {
                [name, types] => (Some(name), types),
                [types] => (None, types),
                _ => continue,
            };
            self.rule_names(identity, how, name);
            let Value::Spaced(types) = &types.value else { continue };
            for rr_type in types {
                let text = rr_type.text().unwrap_or_default();
                if !is_rr_type(text) {
                    self.error(&rr_type.position, format!("'{text}' is not a valid type"));
                }
            }
        }
    }

    fn rule_names(&mut self, identity: &Located, how: &str, name: Option<&Located>) {
        let identity_text = identity.text().unwrap_or_default();
        let Some(who) = domain_name(identity_text) else {
            return self.error(&identity.position, format!("'{identity_text}' is not a valid name"));
        };
        // There is no name behind `zonesub`.
        let text = name.and_then(Located::text).unwrap_or(".");
        let Some(what) = domain_name(text) else {
            let position = name.map_or(&identity.position, |name| &name.position);
            return self.error(position, format!("'{text}' is not a valid name"));
        };
        let complaint = match how {
            "wildcard" if !what.is_wildcard() => format!("'{text}' is not a wildcard"),
            "self" | "selfsub" | "selfwild" if what != who && !what.is_root() => {
                "identity and name fields are not the same".to_owned()
            }
            "krb5-self" | "krb5-selfsub" | "ms-self" | "ms-selfsub" | "tcp-self" | "6to4-self"
                if !what.is_root() =>
            {
                "name field not set to placeholder value '.'".to_owned()
            }
            "name"
            | "subdomain"
            | "zonesub"
            | "wildcard"
            | "external"
            | "ms-subdomain"
            | "krb5-subdomain"
            | "ms-subdomain-self-rhs"
            | "krb5-subdomain-self-rhs"
                if is_rr_type(text) =>
            {
                format!("missing name field type '{text}' found")
            }
            _ => return,
        };
        self.error(&identity.position, complaint);
    }
}
