//! What a resolver says of names outside the zone (named-checkzone `-i full`).
//!
//! BIND: says each thing once for a name, whoever points to it.

use std::collections::{HashMap, HashSet};
use std::net::IpAddr;

use super::{Check, Contents, Finding, Missing, Name, Options, OutsideTrouble, Report, RrType};

/// What a resolver found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Resolved {
    /// The name has addresses.
    Addresses {
        /// The name at the end of the chain of aliases, without the final dot.
        canonical: Option<String>,
        /// All of them.
        addresses: Vec<IpAddr>,
    },
    /// There is no such name, or it has no addresses.
    NoAddress,
    /// The resolver failed, for this reason.
    Failed(String),
}

/// Asks a resolver for the addresses of a name.
pub type Resolve<'r> = dyn FnMut(&Name) -> Resolved + 'r;

/// A target that another zone knows of: of MX and SRV; of NS only below a cut, where BIND looks at the glue.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Question {
    /// How many findings stand before what there is to say.
    pub(super) place: usize,
    /// Who points to it.
    pub(super) owner: Name,
    /// NS, MX or SRV.
    pub(super) rtype: RrType,
    /// The target.
    pub(super) target: Name,
}

/// Asks all questions, in order, and puts what there is to say in its place among the findings.
pub(super) fn ask(
    contents: &Contents,
    options: &Options,
    questions: Vec<Question>,
    resolve: &mut Resolve<'_>,
    report: &mut Report,
) {
    let mut known = std::mem::take(&mut report.findings).into_iter();
    let mut outside = Outside { resolve, known: HashMap::new(), said: HashSet::new() };
    let mut taken = 0;
    for question in questions {
        report.findings.extend(known.by_ref().take(question.place - taken));
        taken = question.place;
        match question.rtype {
            RrType::MX => outside.check_service(&question, options.mx_cname, report),
            RrType::SRV => outside.check_service(&question, options.srv_cname, report),
            _ => outside.check_server(contents, &question, report),
        }
    }
    report.findings.extend(known);
}

/// What has been said already of a name.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
enum Said {
    Alias(RrType),
    NoAddress,
    Failed,
    ExtraA,
    ExtraAaaa,
    MissingGlue,
}

/// Asks about names, and remembers what was answered and said.
struct Outside<'r, 'f> {
    resolve: &'r mut Resolve<'f>,
    known: HashMap<Name, Resolved>,
    said: HashSet<(Name, Said)>,
}

impl Outside<'_, '_> {
    /// A host that MX or SRV points to; `alias` is what to do if it is an alias.
    fn check_service(&mut self, question: &Question, alias: Check, report: &mut Report) {
        self.addresses(question, alias, report);
    }

    /// A name server of a delegation, below a cut: its addresses are compared with the glue.
    fn check_server(&mut self, contents: &Contents, question: &Question, report: &mut Report) {
        let addresses = self.addresses(question, Check::Warn, report);
        let Some(addresses) = addresses else { return };
        let Question { owner, target, .. } = question;
        let glue = glue(contents, target);
        let differs = |address: IpAddr, missing| Finding::GlueDiffers {
            owner: owner.clone(),
            target: target.clone(),
            address,
            missing,
        };
        for &address in glue.iter().filter(|address| !addresses.contains(address)) {
            let said = if address.is_ipv4() { Said::ExtraA } else { Said::ExtraAaaa };
            if self.is_new(target, said) {
                report.note(differs(address, Missing::There));
            }
        }
        if self.said.contains(&(target.clone(), Said::MissingGlue)) {
            return;
        }
        for &address in addresses.iter().filter(|address| !glue.contains(address)) {
            report.note(differs(address, Missing::Here));
            self.said.insert((target.clone(), Said::MissingGlue));
        }
    }

    /// The addresses of a name, unless there is something the matter with it; aliases have addresses too.
    fn addresses(&mut self, question: &Question, alias: Check, report: &mut Report) -> Option<Vec<IpAddr>> {
        let Question { owner, rtype, target, .. } = question;
        let rtype = *rtype;
        let found =
            |trouble| Finding::Outside { owner: owner.clone(), rtype, target: target.clone(), trouble };
        if !self.known.contains_key(target) {
            let resolved = (self.resolve)(target);
            self.known.insert(target.clone(), resolved);
        }
        match self.known.get(target).cloned()? {
            Resolved::Addresses { canonical, addresses } => {
                let shown = target.undotted().to_string();
                if let Some(canonical) = canonical.filter(|name| !name.eq_ignore_ascii_case(&shown)) {
                    if alias != Check::Ignore && self.is_new(target, Said::Alias(rtype)) {
                        report.at_level(alias, found(OutsideTrouble::Cname(canonical)));
                    } else {
                        // BIND: refuses the zone each time, though it says so once.
                        report.fatal += usize::from(alias == Check::Fail);
                    }
                }
                Some(addresses)
            }
            Resolved::NoAddress => {
                if self.is_new(target, Said::NoAddress) {
                    report.note(found(OutsideTrouble::NoAddress));
                }
                None
            }
            Resolved::Failed(reason) => {
                if self.is_new(target, Said::Failed) {
                    report.note(Finding::NotResolved { target: target.clone(), reason });
                }
                None
            }
        }
    }

    fn is_new(&mut self, target: &Name, said: Said) -> bool {
        self.said.insert((target.clone(), said))
    }
}

/// The addresses that the zone has for a name below a cut.
fn glue(contents: &Contents, target: &Name) -> Vec<IpAddr> {
    let records = |rtype| contents.rrset(target, rtype).map_or(Vec::new(), |rrset| rrset.rdatas);
    let v4 = records(RrType::A)
        .into_iter()
        .filter_map(|octets| <[u8; 4]>::try_from(&*octets).ok())
        .map(IpAddr::from);
    let v6 = records(RrType::AAAA)
        .into_iter()
        .filter_map(|octets| <[u8; 16]>::try_from(&*octets).ok())
        .map(IpAddr::from);
    v4.chain(v6).collect()
}
