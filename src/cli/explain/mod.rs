//! Findings for people at a terminal (`--explain`) and for machines (`--json`).
//!
//! ```text
//! diagnostic ─┬─► BIND's line ─► the offending line, a caret, a hint      --explain
//! finding ────┘                └► one JSON document when all is done      --json
//! ```
//!
//! Without either option only BIND's lines are printed. Explanations stand behind the line they belong to, so
//! that order and exit code are as BIND's.
//!
//! Findings about the zone as a whole come without a place: [`mod@locate`] reads the file once more and finds the
//! records they are about. That happens only if there is something to explain.
//!
//! Not here: BIND's wording and the codes (`zonefile::diagnostics`), hints ([`hint`], [`slip`]), excerpts ([`source`]).

mod hint;
pub mod json;
mod locate;
mod slip;
mod source;

use std::io::{self, Write};
use std::sync::Arc;

use crate::dns::Name;
use crate::zone::check::Finding;
use crate::zonefile::{Diagnostic, Kind, Severity};

pub use locate::{Subject, locate};
pub use source::Sources;

/// How findings are told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// As BIND tells them.
    #[default]
    Bind,
    /// The same, each followed by its line and a hint.
    Explained,
    /// As one JSON document.
    Json,
}

/// Whether a stream shows colours.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Colours {
    /// Plain text.
    #[default]
    Off,
    /// Control sequences of a terminal (ECMA-48).
    On,
}

impl Colours {
    /// Colours for a stream: on a terminal that can show them, unless `NO_COLOR` is set (no-color.org).
    pub fn of(stream: &impl io::IsTerminal) -> Colours {
        let set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        if stream.is_terminal() && !is_dumb && !set("NO_COLOR") { Colours::On } else { Colours::Off }
    }

    /// `text` in the colours of `role`.
    fn paint(self, role: Role, text: &str) -> String {
        let code = match role {
            Role::Error => "1;31",
            Role::Warning => "1;33",
            Role::Frame => "1;34",
            Role::Hint => "1;36",
        };
        if self == Colours::On { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// What a piece of text is for.
#[derive(Clone, Copy)]
enum Role {
    Error,
    Warning,
    Frame,
    Hint,
}

/// A place in a file: of a token, a record, or a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, as it was named.
    pub file: Arc<str>,
    /// From 1.
    pub line: usize,
    /// The byte within the line, from 1, where it is known.
    pub column: Option<usize>,
    /// How many bytes are meant, of this line; 0 where something is missing.
    pub bytes: usize,
}

/// One finding with all that is known of it.
#[derive(Clone, Debug)]
pub struct Found {
    /// Whether the zone is refused for it.
    pub severity: Severity,
    /// What kind of finding it is: a stable name.
    pub code: String,
    /// Where it is.
    pub place: Option<Place>,
    /// The owner name it is about, without the final dot.
    pub owner: Option<String>,
    /// What BIND says.
    pub message: String,
    /// How to mend it.
    pub hint: String,
}

impl Found {
    /// What a reader of files noticed.
    pub fn of_diagnostic(diagnostic: &Diagnostic, sources: &mut Sources) -> Found {
        let text = diagnostic.to_string();
        // BIND says nothing of some errors but their result.
        let message = if text.is_empty() { diagnostic.kind.result().to_owned() } else { text };
        let (file, line) = (&diagnostic.file, diagnostic.line);
        let place = match &diagnostic.kind {
            Kind::Conflict { owner, .. } => sources.place_of_owner(file, line, owner),
            _ => sources.place(file, line, diagnostic.span),
        };
        let around = place.as_ref().and_then(|place| sources.around(place));
        let slip = around.and_then(|around| around.slip(&diagnostic.kind));
        Found {
            severity: diagnostic.severity,
            code: diagnostic.kind.code().into_owned(),
            place,
            owner: diagnostic.kind.owner().map(|owner| owner.undotted().to_string()),
            message,
            hint: slip.unwrap_or_else(|| hint::of_kind(&diagnostic.kind)),
        }
    }

    /// What was found in a zone; `message` is what BIND says.
    pub fn of_finding(
        finding: &Finding,
        severity: Severity,
        apex: &Name,
        record: Option<&(Arc<str>, u32)>,
        message: String,
        sources: &mut Sources,
    ) -> Found {
        let subject = Subject::of(finding, apex);
        let place = record.and_then(|(file, line)| match &subject.target {
            Some(target) => sources.place_of_name(file, *line, target),
            None => sources.place(file, *line, None),
        });
        Found {
            severity,
            code: finding.code().to_owned(),
            place,
            owner: Some(subject.owner.undotted().to_string()),
            message,
            hint: hint::of_finding(finding, apex),
        }
    }

    /// Whether the explanation would be that of `other` once more.
    pub fn repeats(&self, other: &Found) -> bool {
        self.place == other.place && self.owner == other.owner && self.hint == other.hint
    }

    /// Writes what stands behind BIND's line: the place, the line, what is meant in it, and the hint.
    pub fn explain(&self, sources: &mut Sources, colours: Colours, out: &mut dyn Write) -> io::Result<()> {
        let frame = |text: &str| colours.paint(Role::Frame, text);
        let mut margin = 1;
        if let Some(place) = &self.place {
            let number = place.line.to_string();
            margin = number.len();
            let column = place.column.map_or(String::new(), |column| format!(":{column}"));
            writeln!(out, "{:margin$}{} {}:{number}{column}", "", frame("-->"), place.file)?;
            if let Some(excerpt) = sources.excerpt(place) {
                let role = if self.severity == Severity::Error { Role::Error } else { Role::Warning };
                let carets = "^".repeat(excerpt.width.max(1));
                writeln!(out, "{:margin$} {}", "", frame("|"))?;
                writeln!(out, "{} {} {}", frame(&number), frame("|"), excerpt.text)?;
                let carets = colours.paint(role, &carets);
                writeln!(
                    out,
                    "{:margin$} {} {:indent$}{carets}",
                    "",
                    frame("|"),
                    "",
                    indent = excerpt.indent
                )?;
            }
        } else if let Some(owner) = &self.owner {
            writeln!(out, "{:margin$}{} {owner}", "", frame("-->"))?;
        }
        writeln!(out, "{:margin$} {} {}: {}", "", frame("="), colours.paint(Role::Hint, "hint"), self.hint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zonefile::{self, Options};

    fn explained(text: &str) -> String {
        let outcome = zonefile::read_bytes(
            text.as_bytes(),
            "f",
            &"example.".parse().unwrap(),
            &Options::default(),
            |_| {},
        );
        let mut sources = Sources::default();
        sources.put("f", text.as_bytes().to_vec());
        let mut out = Vec::new();
        for diagnostic in &outcome.diagnostics {
            let found = Found::of_diagnostic(diagnostic, &mut sources);
            found.explain(&mut sources, Colours::Off, &mut out).unwrap();
        }
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_finding_shows_its_line_and_what_is_wrong_in_it() {
        assert_eq!(
            explained("$TTL 60\n@\tA (\n\t192.0.2.x )\n"),
            " --> f:3:2\n  |\n3 |         192.0.2.x )\n  |         ^^^^^^^^^\n  = hint: an IPv4 address is \
             four numbers from 0 to 255 without leading zeros: 192.0.2.1\n"
        );
    }

    #[test]
    fn what_is_missing_is_shown_where_it_should_be() {
        let text = explained("$TTL 60\n@ MX 10 ; no host\n");
        assert!(
            text.starts_with(" --> f:2:8\n  |\n2 | @ MX 10 ; no host\n  |        ^\n  = hint: "),
            "{text}"
        );
    }

    #[test]
    fn colours_are_control_sequences_and_nothing_else_changes() {
        let found = Found {
            severity: Severity::Error,
            code: "x".into(),
            place: None,
            owner: Some("example".into()),
            message: String::new(),
            hint: "h".into(),
        };
        let text = |colours| {
            let mut out = Vec::new();
            found.explain(&mut Sources::default(), colours, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!(text(Colours::Off), " --> example\n  = hint: h\n");
        assert_eq!(
            text(Colours::On),
            " \x1b[1;34m-->\x1b[0m example\n  \x1b[1;34m=\x1b[0m \x1b[1;36mhint\x1b[0m: h\n"
        );
    }
}
