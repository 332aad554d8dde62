//! Zones signed by the tools of BIND, Knot and NLnet Labs.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::rng::Rng;

const ALGORITHMS: [&str; 5] =
    ["ECDSAP256SHA256", "ECDSAP256SHA256", "ECDSAP384SHA384", "ED25519", "RSASHA256"];

/// Which tool signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// dnssec-signzone.
    Bind,
    /// kzonesign.
    Knot,
    /// ldns-signzone.
    Ldns,
}

/// How absence is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Denial {
    Nsec,
    Nsec3,
    /// NSEC3 without records for delegations to unsigned zones.
    OptOut,
}

/// How a zone is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Signer {
    pub tool: Tool,
    pub denial: Denial,
    /// As BIND's tools name it.
    pub algorithm: &'static str,
    pub iterations: u16,
    pub has_salt: bool,
}

impl Signer {
    /// Some way to sign.
    pub fn draw(rng: &mut Rng) -> Signer {
        Signer {
            tool: *rng.pick(&[Tool::Bind, Tool::Bind, Tool::Knot, Tool::Ldns]),
            denial: *rng.pick(&[Denial::Nsec, Denial::Nsec3, Denial::OptOut]),
            algorithm: ALGORITHMS[rng.below(ALGORITHMS.len())],
            iterations: *rng.pick(&[0, 0, 1, 5]),
            has_salt: rng.chance(50),
        }
    }

    /// Signs a zone with a new key; `folder` is for the tool's files. Returns the signed zone's text.
    pub fn sign(&self, folder: &Path, origin: &str, text: &str) -> Result<Signed, String> {
        let file = folder.join("unsigned.zone");
        std::fs::write(&file, text).map_err(|error| error.to_string())?;
        match self.tool {
            Tool::Bind => self.sign_with_bind(folder, origin, &file),
            Tool::Knot => self.sign_with_knot(folder, origin, text),
            Tool::Ldns => self.sign_with_ldns(folder, origin, &file),
        }
    }

    fn sign_with_bind(&self, folder: &Path, origin: &str, file: &Path) -> Result<Signed, String> {
        let folder_text = folder.to_string_lossy();
        let size: &[&str] = if self.algorithm == "RSASHA256" { &["-b", "1024"] } else { &[] };
        let key = run(Command::new("dnssec-keygen")
            .args(["-q", "-f", "KSK", "-a", self.algorithm, "-K", &folder_text])
            .args(size)
            .arg(origin))?;
        let out = folder.join("signed.zone");
        let mut command = Command::new("dnssec-signzone");
        // No check of the result, which knows nothing of names below DNAMEs; one key for everything.
        command.args(["-S", "-z", "-P", "-q", "-d", &folder_text, "-K", &folder_text, "-o", origin]);
        if self.denial != Denial::Nsec {
            let salt = if self.has_salt { "aabbcc" } else { "-" };
            command.args(["-3", salt, "-H", &self.iterations.to_string()]);
        }
        if self.denial == Denial::OptOut {
            command.arg("-A");
        }
        run(command.arg("-f").arg(&out).arg(file))?;
        let anchor = std::fs::read_to_string(folder.join(format!("{}.key", key.trim())));
        Signed::read(&out, anchor.map_err(|error| error.to_string())?)
    }

    fn sign_with_knot(&self, folder: &Path, origin: &str, text: &str) -> Result<Signed, String> {
        let path = folder.display();
        std::fs::write(folder.join("knot.zone"), text).map_err(|error| error.to_string())?;
        let salt = if self.has_salt { 4 } else { 0 };
        let nsec3 = match self.denial {
            Denial::Nsec => "off",
            Denial::Nsec3 => "on",
            Denial::OptOut => "on\n    nsec3-opt-out: on",
        };
        let configuration = folder.join("knot.conf");
        let text = format!(
            "server:\n    rundir: {path}\ndatabase:\n    storage: {path}\npolicy:\n  - id: p\n    algorithm: {}\n    \
             single-type-signing: on\n    manual: off\n    nsec3-iterations: {}\n    nsec3-salt-length: {salt}\n    \
             nsec3: {nsec3}\nzone:\n  - domain: {origin}\n    storage: {path}\n    file: knot.zone\n    \
             dnssec-signing: on\n    dnssec-policy: p\n",
            self.algorithm.to_lowercase(),
            self.iterations,
        );
        std::fs::write(&configuration, text).map_err(|error| error.to_string())?;
        let out = folder.join("out");
        std::fs::create_dir_all(&out).map_err(|error| error.to_string())?;
        run(Command::new("kzonesign").arg("-c").arg(&configuration).arg("-o").arg(&out).arg(origin))?;
        let written = std::fs::read_dir(&out).map_err(|error| error.to_string())?;
        let file = written.filter_map(Result::ok).map(|entry| entry.path()).next();
        let file = file.ok_or("kzonesign wrote no zone")?;
        let signed = std::fs::read_to_string(&file).map_err(|error| error.to_string())?;
        let is_key = |line: &&str| line.split_whitespace().nth(2) == Some("DNSKEY");
        let anchor = signed.lines().filter(is_key).map(|line| format!("{line}\n")).collect();
        Ok(Signed { text: signed, anchor })
    }

    fn sign_with_ldns(&self, folder: &Path, origin: &str, file: &Path) -> Result<Signed, String> {
        let size: &[&str] = if self.algorithm == "RSASHA256" { &["-b", "1024"] } else { &[] };
        let mut keygen = Command::new("ldns-keygen");
        keygen.current_dir(folder).args(["-k", "-a", self.algorithm]).args(size).arg(origin);
        let key = run(&mut keygen)?;
        let out = folder.join("signed.zone");
        let mut command = Command::new("ldns-signzone");
        command.current_dir(folder).args(["-o", origin]);
        if self.denial != Denial::Nsec {
            let iterations = self.iterations.to_string();
            command.args(["-n", "-t", &iterations]);
            if self.has_salt {
                command.args(["-s", "aabbcc"]);
            }
        }
        if self.denial == Denial::OptOut {
            command.arg("-p");
        }
        run(command.arg("-f").arg(&out).arg(file).arg(key.trim()))?;
        let anchor = std::fs::read_to_string(folder.join(format!("{}.key", key.trim())));
        Signed::read(&out, anchor.map_err(|error| error.to_string())?)
    }
}

/// A signed zone.
pub struct Signed {
    pub text: String,
    /// Its DNSKEY records as text.
    pub anchor: String,
}

impl Signed {
    fn read(path: &PathBuf, anchor: String) -> Result<Signed, String> {
        let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
        Ok(Signed { text, anchor })
    }
}

/// Runs a tool to its end; its standard output.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(format!("{command:?}: {}\n{}", output.status, String::from_utf8_lossy(&output.stderr)))
}
