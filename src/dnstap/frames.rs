//! Frame Streams: data frames between control frames, to a file or to a listener on a UNIX socket.
//!
//! ```text
//! file:    START data data ... STOP
//! socket:  READY ─►   ◄─ ACCEPT   START data data ... STOP ─►   ◄─ FINISH
//! ```

use crate::clock;
use crate::config::dnstap as configured;
use crate::config::logging::{LogFile, Versions};
use crate::logging::rolling::{self, Schedule};
use std::fs::File;
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

const CONTENT_TYPE: &[u8] = b"protobuf:dnstap.Dnstap";
/// The one field that control frames have.
const FIELD_CONTENT_TYPE: u32 = 1;
/// A listener's control frame is no longer than this.
const CONTROL_BYTES_MAX: u32 = 512;
/// How long a listener may keep us waiting, and how long we wait before we look for it again.
const PATIENCE: Duration = Duration::from_secs(1);

/// Types of control frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Control {
    Accept = 1,
    Start = 2,
    Stop = 3,
    Ready = 4,
    Finish = 5,
}

/// A control frame: an escape, its length, its type, and the content type where that is told.
fn control(kind: Control) -> Vec<u8> {
    let mut body = (kind as u32).to_be_bytes().to_vec();
    if kind != Control::Stop {
        body.extend_from_slice(&FIELD_CONTENT_TYPE.to_be_bytes());
        body.extend_from_slice(&(CONTENT_TYPE.len() as u32).to_be_bytes());
        body.extend_from_slice(CONTENT_TYPE);
    }
    [&0u32.to_be_bytes()[..], &(body.len() as u32).to_be_bytes(), &body].concat()
}

/// Where frames go.
pub(super) enum Output {
    File { file: BufWriter<File>, bytes: u64, limits: LogFile, schedule: Schedule },
    Socket { path: PathBuf, stream: Option<BufWriter<UnixStream>>, tried: Option<Instant> },
}

impl Output {
    /// Makes the file, or notes the socket.
    pub(super) fn open(output: &configured::Output, directory: &Path) -> io::Result<Output> {
        match output {
            configured::Output::File(limits) => {
                let limits = LogFile { path: directory.join(&limits.path), ..limits.clone() };
                let (file, bytes) = begin(&limits.path)?;
                let schedule = Schedule::new(limits.bytes_max);
                Ok(Output::File { file, bytes, limits, schedule })
            }
            configured::Output::Unix(path) => {
                Ok(Output::Socket { path: directory.join(path), stream: None, tried: None })
            }
        }
    }

    /// Writes a data frame.
    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let frame = [&(data.len() as u32).to_be_bytes()[..], data].concat();
        match self {
            Output::File { file, bytes, limits, schedule } => {
                let mut ended = Ok(());
                if schedule.is_due(*bytes) {
                    if limits.versions == Versions::Never {
                        return Err(io::Error::other("the file has its size"));
                    }
                    // The old stream ends once there is a new one: until then it goes on, and after its end it may not.
                    match rolling::roll(limits, clock::now_utc()).and_then(|()| begin(&limits.path)) {
                        Ok((new, size)) => {
                            ended = end(std::mem::replace(file, new));
                            (*bytes, *schedule) = (size, Schedule::new(limits.bytes_max));
                        }
                        Err(error) if schedule.put_off(*bytes) => {
                            let path = limits.path.display();
                            tracing::error!("dnstap: {path} cannot be rolled and goes on growing: {error}");
                        }
                        Err(_) => {}
                    }
                }
                *bytes += frame.len() as u64;
                file.write_all(&frame).and(ended)
            }
            Output::Socket { path, stream, tried } => {
                if stream.is_none() {
                    if tried.is_some_and(|tried| tried.elapsed() < PATIENCE) {
                        return Err(io::ErrorKind::NotConnected.into());
                    }
                    *tried = Some(clock::monotonic());
                    *stream = Some(connect(path)?);
                }
                let Some(connected) = stream else { return Err(io::ErrorKind::NotConnected.into()) };
                let written = connected.write_all(&frame);
                if written.is_err() {
                    forget(stream);
                }
                written
            }
        }
    }

    /// Hands everything to the system.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        match self {
            Output::File { file, .. } => file.flush(),
            Output::Socket { stream, .. } => {
                let flushed = stream.as_mut().map_or(Ok(()), Write::flush);
                if flushed.is_err() {
                    forget(stream);
                }
                flushed
            }
        }
    }

    /// Ends the stream.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Output::File { file, .. } => end(file),
            Output::Socket { stream: Some(mut stream), .. } => {
                stream.write_all(&control(Control::Stop))?;
                stream.flush()?;
                expect(stream.get_mut(), Control::Finish)
            }
            Output::Socket { stream: None, .. } => Ok(()),
        }
    }
}

/// Gives a stream up, and what was still to be written with it: a dead one must not be written to again.
fn forget(stream: &mut Option<BufWriter<UnixStream>>) {
    if let Some(stream) = stream.take() {
        let _ = stream.into_parts();
    }
}

/// A new file. BIND: what was there is gone.
fn begin(path: &Path) -> io::Result<(BufWriter<File>, u64)> {
    let mut file = BufWriter::new(File::create(path)?);
    let start = control(Control::Start);
    file.write_all(&start)?;
    Ok((file, start.len() as u64))
}

/// Ends the stream in a file.
fn end(mut file: BufWriter<File>) -> io::Result<()> {
    file.write_all(&control(Control::Stop))?;
    file.flush()
}

fn connect(path: &Path) -> io::Result<BufWriter<UnixStream>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(&control(Control::Ready))?;
    expect(&mut stream, Control::Accept)?;
    stream.write_all(&control(Control::Start))?;
    Ok(BufWriter::new(stream))
}

/// Reads a control frame, which must be of this type. Which content types it names is taken on trust: there is one.
fn expect(stream: &mut UnixStream, expected: Control) -> io::Result<()> {
    let mut word = || -> io::Result<u32> {
        let mut octets = [0; 4];
        stream.read_exact(&mut octets)?;
        Ok(u32::from_be_bytes(octets))
    };
    let (escape, length, kind) = (word()?, word()?, word()?);
    if escape != 0 || !(4..=CONTROL_BYTES_MAX).contains(&length) || kind != expected as u32 {
        return Err(io::Error::other(format!("the listener does not say {expected:?}")));
    }
    io::copy(&mut stream.take(u64::from(length - 4)), &mut io::sink()).map(drop)
}
