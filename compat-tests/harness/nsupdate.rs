//! nsupdate(1), as administrators use it.

use std::io::Write;
use std::net::SocketAddr;
use std::process::{Command, Stdio};

use super::named::key_argument;
use super::tsig::Key;

/// What nsupdate said of one script.
#[derive(Debug)]
pub struct Outcome {
    /// `NOERROR`, or what stands behind `update failed:`, such as `REFUSED` or `NOTAUTH(BADKEY)`.
    pub rcode: String,
    /// Everything it printed.
    pub output: String,
}

/// Runs `script` (without `server` and `send`) against `server`.
pub fn run(server: SocketAddr, key: Option<&Key>, script: &str) -> Outcome {
    let mut command = Command::new("nsupdate");
    command.args(["-t", "10", "-u", "5", "-r", "0"]);
    if let Some(key) = key {
        command.arg("-y").arg(key_argument(key));
    }
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("nsupdate is installed by compat-tests/run");
    let text = format!("server {} {}\n{script}\nsend\n", server.ip(), server.port());
    child
        .stdin
        .take()
        .expect("stdin is piped")
        .write_all(text.as_bytes())
        .expect("nsupdate reads its script");
    let output = child.wait_with_output().expect("nsupdate ends");
    let printed =
        [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
    let failure =
        printed.lines().find_map(|line| line.split_once("update failed: ")).map(|(_, rcode)| rcode.trim());
    let rcode = match failure {
        Some(rcode) => rcode.to_owned(),
        None if output.status.success() => "NOERROR".into(),
        None => format!("{} without a reason", output.status),
    };
    Outcome { rcode, output: printed }
}
