//! What the probe and a supervisor tell each other over their socket.
//!
//! The probe sends one [`Request`] with the program's three standard streams (SCM_RIGHTS, unix(7)): arguments and
//! environment of a supervisor itself could be read by other processes of the user. The supervisor answers with
//! [`Report`]s, a line each.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::Duration;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};

use super::child::Usage;

/// A program to start; `Debug` is not derived: arguments and variables may hold secrets.
#[derive(PartialEq, Eq)]
pub(super) struct Request {
    pub(super) file: PathBuf,
    /// What the program finds as its own name.
    pub(super) name: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    /// An absolute path.
    pub(super) directory: PathBuf,
    /// The soft limit of open files that it shall find; `None` for no limit.
    pub(super) soft_files: Option<u64>,
}

/// Words in front of the arguments in an encoded request.
const FIXED_WORDS: usize = 5;

impl Request {
    /// Sends it with standard input, output and error of the program.
    pub(super) fn send(&self, socket: &UnixStream, streams: [BorrowedFd<'_>; 3]) -> io::Result<()> {
        let body = self.encode();
        let length = body.len().to_ne_bytes();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&streams));
        sendmsg(socket, &[IoSlice::new(&length)], &mut rights, SendFlags::NOSIGNAL)?;
        (&*socket).write_all(&body)
    }

    /// Waits for one.
    pub(super) fn receive(socket: &UnixStream) -> io::Result<(Request, [OwnedFd; 3])> {
        let mut length = [0; size_of::<usize>()];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let got = recvmsg(socket, &mut [IoSliceMut::new(&mut length)], &mut rights, RecvFlags::CMSG_CLOEXEC)?;
        let streams: Vec<OwnedFd> = rights
            .drain()
            .filter_map(|message| if let RecvAncillaryMessage::ScmRights(fds) = message { Some(fds) } else { None })
            .flatten()
            .collect();
        let malformed = || io::Error::from(io::ErrorKind::InvalidData);
        let streams = streams.try_into().map_err(|_other| malformed())?;
        (&*socket).read_exact(&mut length[got.bytes..])?;
        let mut body = Vec::new();
        let length = usize::from_ne_bytes(length);
        socket.take(length as u64).read_to_end(&mut body)?;
        let request = Some(body).filter(|body| body.len() == length).and_then(|body| Request::decode(&body));
        Ok((request.ok_or_else(malformed)?, streams))
    }

    /// Words that each end in NUL, which none of them holds ([`super::spec::resolve`]).
    fn encode(&self) -> Vec<u8> {
        let soft_files = self.soft_files.map_or(String::new(), |files| files.to_string());
        let count = self.args.len().to_string();
        let fixed: [&[u8]; FIXED_WORDS] = [
            self.file.as_os_str().as_bytes(),
            self.name.as_bytes(),
            self.directory.as_os_str().as_bytes(),
            soft_files.as_bytes(),
            count.as_bytes(),
        ];
        let args = self.args.iter().map(|arg| arg.as_bytes());
        let variables = self.environment.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        let words = fixed.into_iter().chain(args).chain(variables);
        words.flat_map(|word| word.iter().copied().chain([0])).collect()
    }

    fn decode(body: &[u8]) -> Option<Request> {
        let mut words = body.strip_suffix(&[0])?.split(|&b| b == 0).map(|word| OsString::from_vec(word.to_vec()));
        let (file, name, directory) = (words.next()?.into(), words.next()?, words.next()?.into());
        let soft_files = words.next()?;
        let soft_files = if soft_files.is_empty() { None } else { Some(soft_files.to_str()?.parse().ok()?) };
        let count: usize = words.next()?.to_str()?.parse().ok()?;
        let args: Vec<OsString> = words.by_ref().take(count).collect();
        let mut environment = Vec::new();
        while let Some(variable) = words.next() {
            environment.push((variable, words.next()?));
        }
        (args.len() == count).then_some(Request { file, name, args, environment, directory, soft_files })
    }
}

/// What a supervisor has to tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Report {
    /// The program is executed; its process.
    Started(i32),
    /// It could not be; the operating system's error number. Nothing follows.
    Refused(i32),
    /// It has ended; its wait status (wait(2)). Others of its tree may live on.
    Exited(i32),
    /// The last process of the tree has ended. Nothing follows.
    Done(Usage),
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Report::Started(pid) => writeln!(f, "started {pid}"),
            Report::Refused(errno) => writeln!(f, "refused {errno}"),
            Report::Exited(status) => writeln!(f, "exited {status}"),
            Report::Done(Usage { cpu, max_rss_bytes }) => writeln!(f, "done {} {max_rss_bytes}", cpu.as_micros()),
        }
    }
}

impl Report {
    /// `None` for a line that no supervisor writes.
    pub(super) fn parse(line: &[u8]) -> Option<Report> {
        let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
        let kind = words.next()?;
        let mut number = || words.next()?.parse::<i64>().ok();
        let first = number()?;
        let small = i32::try_from(first).ok();
        match kind {
            "started" => small.map(Report::Started),
            "refused" => small.map(Report::Refused),
            "exited" => small.map(Report::Exited),
            "done" => Some(Report::Done(Usage {
                cpu: Duration::from_micros(u64::try_from(first).ok()?),
                max_rss_bytes: u64::try_from(number()?).ok()?,
            })),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn request() -> Request {
        Request {
            file: "/bin/x".into(),
            name: "x".into(),
            args: vec!["".into(), OsString::from_vec(vec![0xff]), "\n".into()],
            environment: vec![("A".into(), "".into()), ("B".into(), "b=b".into())],
            directory: "/".into(),
            soft_files: Some(1024),
        }
    }

    #[test]
    fn a_request_arrives_whole_with_its_streams_or_not_at_all() {
        let (here, there) = UnixStream::pair().expect("a socket");
        let (read, write) = rustix::pipe::pipe().expect("a pipe");
        let mut large = request();
        large.args.push("x".repeat(1 << 20).into());
        let receiver = std::thread::spawn(move || Request::receive(&there));
        large.send(&here, [read.as_fd(), write.as_fd(), write.as_fd()]).expect("sent");
        drop(write);
        let (received, [_, stdout, stderr]) = receiver.join().expect("no panic").expect("received");
        assert!(received == large);
        rustix::io::write(&stdout, b"hello").expect("written");
        drop((stdout, stderr));
        let mut got = String::new();
        std::fs::File::from(read).read_to_string(&mut got).expect("read");
        assert_eq!(got, "hello");
    }

    #[test]
    fn half_a_request_is_none() {
        let whole = request().encode();
        assert!(Request::decode(&whole).is_some_and(|decoded| decoded == request()));
        let (here, there) = UnixStream::pair().expect("a socket");
        drop(here);
        assert!(Request::receive(&there).is_err());
        let (here, there) = UnixStream::pair().expect("a socket");
        let null = std::fs::File::open("/dev/null").expect("/dev/null");
        request().send(&here, [null.as_fd(); 3]).expect("sent");
        let mut sent = vec![0; whole.len()];
        (&there).read_exact(&mut sent[..16]).expect("the beginning");
        drop(here);
        assert!(Request::receive(&there).is_err(), "no length and no streams");
    }

    #[test]
    fn reports_come_back_as_they_went() {
        let usage = Usage { cpu: Duration::from_micros(1_500_001), max_rss_bytes: 4 << 20 };
        for report in [Report::Started(7), Report::Refused(2), Report::Exited(256), Report::Done(usage)] {
            assert_eq!(Report::parse(report.to_string().trim().as_bytes()), Some(report));
        }
        assert_eq!(Report::parse(b"done 1"), None);
        assert_eq!(Report::parse(b""), None);
    }
}
