//! `--help` of the commands that stand in for BIND's programs: complete, for people.
//!
//! `-h` prints what BIND prints. The manual pages say the same as this and more; `compat-tests/man.rs` holds the
//! tables here, the pages and the option strings of the commands to the same options.

use std::fmt::Write as _;

/// Where the text begins, and where it ends.
const TEXT_COLUMN: usize = 22;
const COLUMNS: usize = 92;

/// An option.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// As it is written: `-c` or `--json`.
    pub option: &'static str,
    /// What stands for its argument; empty if it has none.
    pub argument: &'static str,
    /// What it does, with its values and default.
    pub text: &'static str,
}

const fn entry(option: &'static str, argument: &'static str, text: &'static str) -> Entry {
    Entry { option, argument, text }
}

/// A command's help.
#[derive(Clone, Copy, Debug)]
pub struct Help {
    /// What stands behind the name of the program in the usage.
    pub usage: &'static str,
    /// What the command does.
    pub about: &'static str,
    /// All options.
    pub options: &'static [Entry],
    /// What the exit codes mean.
    pub exit: &'static str,
}

/// Of checkzone and compilezone.
const ZONE_OPTIONS: &[Entry] = &[
    entry("-c", "class", "The class of the zone: IN, CH or HS. Default: IN."),
    entry("-d", "", "Says to standard error what is loaded and dumped."),
    entry(
        "-D",
        "",
        "Writes the zone to standard output, or to the file of -o, and messages to standard error. compilezone \
         always does.",
    ),
    entry(
        "-f",
        "format",
        "The format of the file that is read: text, or raw, BIND's binary format. Default: text.",
    ),
    entry(
        "-F",
        "format",
        "The format of the zone that is written: text, raw (the same as raw=1), raw=0 or raw=1. Default: text.",
    ),
    entry("-h", "", "Prints the usage as BIND does and exits with 1."),
    entry(
        "-i",
        "mode",
        "How far the targets of NS, MX and SRV are followed: full asks the system's resolver about names outside the \
         zone; local looks at names in the zone only; full-sibling and local-sibling do not look for glue of other \
         delegations; none checks nothing. Default: full.",
    ),
    entry("-j", "", "Applies the journal beside the zone file (its name with .jnl), if there is one."),
    entry("-J", "file", "Applies this journal, if it exists."),
    entry(
        "-k",
        "mode",
        "Names that are not host names where these must stand (check-names): ignore, warn or fail. Default: warn; \
         of compilezone: fail.",
    ),
    entry(
        "-l",
        "seconds",
        "The longest TTL that is allowed (max-zone-ttl), in seconds; 0 allows all. Default: 0.",
    ),
    entry("-L", "serial", "The source serial in the header of a raw file, for tests. Default: none."),
    entry("-m", "mode", "MX targets that look like addresses: ignore, warn or fail. Default: warn."),
    entry("-M", "mode", "MX targets that are aliases: ignore, warn or fail. Default: warn."),
    entry(
        "-n",
        "mode",
        "NS targets that look like addresses: ignore, warn or fail. Default: warn; of compilezone: fail.",
    ),
    entry("-o", "file", "Writes the zone to this file; - is standard output. compilezone must have it."),
    entry("-q", "", "Says nothing; only the exit code tells."),
    entry(
        "-r",
        "mode",
        "Records that differ in the case of letters only: ignore, warn or fail. Default: warn.",
    ),
    entry(
        "-s",
        "style",
        "How text is written: full, one record a line and names complete, or relative, for reading and editing. \
         Default: full.",
    ),
    entry("-S", "mode", "SRV targets that are aliases: ignore, warn or fail. Default: warn."),
    entry("-t", "directory", "Changes the root directory first (needs the right to)."),
    entry(
        "-T",
        "mode",
        "SPF records without the TXT record of the same text: ignore or warn. Default: warn.",
    ),
    entry("-v", "", "Prints the version and exits."),
    entry(
        "-w",
        "directory",
        "Changes the working directory first: names of included files are relative to it.",
    ),
    entry("-W", "mode", "Owners with * behind the first label: ignore or warn. Default: warn."),
    entry(
        "--explain",
        "",
        "Behind every finding its line, a mark under what is wrong, and a hint how to mend it. In colours on a \
         terminal, unless NO_COLOR is set. Not with -q or --json.",
    ),
    entry(
        "--json",
        "",
        "Prints the findings as one JSON document on standard output instead of messages. Not with -q, and not when \
         the zone goes to standard output too (-D without -o, -o -).",
    ),
    entry("--help", "", "Prints this."),
];

const ZONE_EXIT: &str = "0 if the zone may be served, whatever was warned of; 1 if not, or if the command line is wrong or a \
                         file cannot be written.";

/// `checkzone --help`.
pub const CHECKZONE: Help = Help {
    usage: "[option ...] zone [file]",
    about: "Checks a zone file as named-checkzone of BIND 9.18 does: same options, messages and exit codes. Without a \
            file, or with -, reads standard input.",
    options: ZONE_OPTIONS,
    exit: ZONE_EXIT,
};

/// `compilezone --help`.
pub const COMPILEZONE: Help = Help {
    usage: "[option ...] -o file zone [file]",
    about: "Checks a zone file and writes it in another form, as named-compilezone of BIND 9.18 does: same options, \
            messages and exit codes. Without a file, or with -, reads standard input.",
    options: ZONE_OPTIONS,
    exit: ZONE_EXIT,
};

/// `checkconf --help`.
pub const CHECKCONF: Help = Help {
    usage: "[option ...] [file]",
    about: "Checks a configuration file and says what named-checkconf of BIND 9.18 says of it; what this server does \
            not support changes nothing. Findings go to standard output. Default file: /etc/bind/named.conf.",
    options: &[
        entry(
            "-c",
            "",
            "Checks the core of the configuration only: does not look whether plugins are there.",
        ),
        entry("-d", "", "Accepted: debugging of BIND itself."),
        entry("-h", "", "Prints the usage as BIND does."),
        entry("-i", "", "Leaves out warnings of deprecated statements."),
        entry(
            "-j",
            "",
            "With -z: applies the journal beside each zone file (its name with .jnl), if there is one.",
        ),
        entry("-l", "", "Lists the zones, one a line: name, class, view and type."),
        entry("-m", "flag", "Accepted: memory debugging of BIND itself."),
        entry("-p", "", "Prints the configuration in canonical form."),
        entry("-t", "directory", "Changes the root directory first (needs the right to)."),
        entry("-v", "", "Prints the version and exits."),
        entry("-x", "", "With -p: question marks in the place of secrets."),
        entry("-z", "", "Loads the zone files of all primary zones."),
        entry("--help", "", "Prints this."),
        entry(
            "--trimaran",
            "",
            "Adds, on standard error, which statements this server ignores or refuses; exit code 1 if it would not \
             start.",
        ),
    ],
    exit: "0 if the configuration can be used, and behind the usage, as BIND has it; 1 if there are errors.",
};

/// `journalprint --help`.
pub const JOURNALPRINT: Help = Help {
    usage: "[option ...] journal",
    about: "Shows what a journal of BIND holds, or rewrites it, as named-journalprint of BIND 9.18 does. A journal that \
            is rewritten is replaced as a whole, once the new one is on the disk.",
    options: &[
        entry(
            "-c",
            "serial",
            "Compacts the journal: drops transactions older than this serial, as far as it stays above 4 KiB.",
        ),
        entry("-d", "", "Downgrades the journal to the format that BIND before 9.16.12 reads."),
        entry("-u", "", "Upgrades the journal to the present format."),
        entry("-x", "", "Shows the header, the index and the head of every transaction, too."),
        entry("--help", "", "Prints this."),
    ],
    exit: "0 if all of the journal was shown or rewritten; 1 otherwise.",
};

impl Help {
    /// The text for `program`.
    pub fn text(&self, program: &str) -> String {
        let mut text = format!("Usage: {program} {}\n\n", self.usage);
        fill(self.about, 0, 0, &mut text);
        text.push_str("\nOptions:\n");
        for Entry { option, argument, text: about } in self.options {
            let head = format!("  {option} {argument}");
            let head = head.trim_end();
            text.push_str(head);
            let at = if head.len() + 2 > TEXT_COLUMN {
                text.push('\n');
                0
            } else {
                head.len()
            };
            fill(about, TEXT_COLUMN, at, &mut text);
        }
        text.push_str("\nExit code: ");
        fill(self.exit, "Exit code: ".len(), "Exit code: ".len(), &mut text);
        text
    }
}

/// Breaks `words` into lines that begin at column `indent`; the first one is at column `at` already.
fn fill(words: &str, indent: usize, at: usize, out: &mut String) {
    let _ = write!(out, "{:1$}", "", indent.saturating_sub(at));
    let mut column = indent;
    for word in words.split(' ') {
        let blank = usize::from(column > indent);
        if column + blank + word.len() > COLUMNS && column > indent {
            let _ = write!(out, "\n{:indent$}", "");
            column = indent;
        } else if blank > 0 {
            out.push(' ');
            column += 1;
        }
        out.push_str(word);
        column += word.len();
    }
    out.push('\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_not_longer_than_a_terminal_and_options_stand_in_columns() {
        let text = CHECKZONE.text("trimaran checkzone");
        assert!(text.lines().all(|line| line.len() <= COLUMNS), "{text}");
        assert!(text.starts_with("Usage: trimaran checkzone [option ...] zone [file]\n\nChecks"), "{text}");
        assert!(text.contains("\n  -q                  Says nothing; only the exit code tells.\n"), "{text}");
        assert!(CHECKZONE.options.iter().all(|entry| text.contains(&format!("\n  {}", entry.option))));
    }
}
