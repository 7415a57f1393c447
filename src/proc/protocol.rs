//! What the probe and a supervisor tell each other over their socket.
//!
//! The probe sends one [`Request`] with the program's three standard streams (SCM_RIGHTS, unix(7)): arguments and
//! environment of a supervisor itself could be read by other processes of the user. The supervisor answers with
//! [`Report`]s. Both are JSON, a report a line.

use std::ffi::OsString;
use std::io::{self, BufReader, IoSlice, IoSliceMut, Write};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;

use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
    recvmsg, sendmsg,
};
use serde::{Deserialize, Serialize};

use super::child::Usage;

/// A program to start; `Debug` is not derived: arguments and variables may hold secrets.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Request {
    pub(super) file: OsString,
    /// What the program finds as its own name.
    pub(super) name: OsString,
    pub(super) args: Vec<OsString>,
    pub(super) environment: Vec<(OsString, OsString)>,
    pub(super) directory: OsString,
    /// The soft limit of open files that it shall find; `None` for no limit.
    pub(super) soft_files: Option<u64>,
}

impl Request {
    /// Sends it with standard input, output and error of the program.
    pub(super) fn send(&self, socket: &UnixStream, streams: [BorrowedFd<'_>; 3]) -> io::Result<()> {
        let body = serde_json::to_vec(self)?;
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        rights.push(SendAncillaryMessage::ScmRights(&streams));
        // Descriptors travel with a byte at least: a blank, which means nothing in JSON.
        sendmsg(socket, &[IoSlice::new(b" ")], &mut rights, SendFlags::NOSIGNAL)?;
        (&*socket).write_all(&body)
    }

    pub(super) fn receive(socket: &UnixStream) -> io::Result<(Request, [OwnedFd; 3])> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        recvmsg(socket, &mut [IoSliceMut::new(&mut [0])], &mut rights, RecvFlags::CMSG_CLOEXEC)?;
        let streams: Vec<OwnedFd> = rights
            .drain()
            .filter_map(|message| if let RecvAncillaryMessage::ScmRights(fds) = message { Some(fds) } else { None })
            .flatten()
            .collect();
        let streams = streams.try_into().map_err(|_other| io::Error::from(io::ErrorKind::InvalidData))?;
        // Nothing follows it that the buffer could swallow.
        let mut body = serde_json::Deserializer::from_reader(BufReader::new(socket));
        Ok((Request::deserialize(&mut body)?, streams))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Report {
    /// The program is executed; its process.
    Started(i32),
    /// It could not be; the operating system's error number. Nothing follows.
    Refused(i32),
    /// Nothing can be supervised here; the operating system's error number. Nothing follows.
    Unable(i32),
    /// It has ended; its wait status (wait(2)). Others of its tree may live on.
    Exited(i32),
    /// The last process of the tree has ended. Nothing follows.
    Done(Usage),
}

impl Report {
    /// The probe may be gone; nothing follows from that here.
    pub(super) fn send(self, mut socket: &UnixStream) {
        let mut line = serde_json::to_vec(&self).unwrap_or_default();
        line.push(b'\n');
        let _ = socket.write_all(&line);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::os::fd::AsFd;
    use std::os::unix::ffi::OsStringExt;
    use std::time::Duration;

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
        let (here, there) = UnixStream::pair().expect("a socket");
        drop(here);
        assert!(Request::receive(&there).is_err());
        let (here, there) = UnixStream::pair().expect("a socket");
        let null = std::fs::File::open("/dev/null").expect("/dev/null");
        request().send(&here, [null.as_fd(); 3]).expect("sent");
        (&there).read_exact(&mut [0; 16]).expect("the beginning");
        assert!(Request::receive(&there).is_err(), "no streams");
        let body = serde_json::to_vec(&request()).expect("serialised");
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        let streams = [null.as_fd(); 3];
        rights.push(SendAncillaryMessage::ScmRights(&streams));
        let (here, there) = UnixStream::pair().expect("a socket");
        let half = [IoSlice::new(b" "), IoSlice::new(&body[..body.len() / 2])];
        sendmsg(&here, &half, &mut rights, SendFlags::NOSIGNAL).expect("sent");
        drop(here);
        assert!(Request::receive(&there).is_err(), "cut off");
    }

    #[test]
    fn reports_come_back_as_they_went_a_line_each() {
        let usage = Usage { cpu: Duration::from_micros(1_500_001), max_rss_bytes: 4 << 20 };
        for report in
            [Report::Started(7), Report::Refused(2), Report::Unable(22), Report::Exited(256), Report::Done(usage)]
        {
            let (here, mut there) = UnixStream::pair().expect("a socket");
            report.send(&here);
            drop(here);
            let mut line = String::new();
            there.read_to_string(&mut line).expect("read");
            assert_eq!(line.lines().count(), 1);
            assert_eq!(serde_json::from_str::<Report>(&line).ok(), Some(report));
        }
        assert!(serde_json::from_str::<Report>(r#"{"Done":1}"#).is_err());
    }
}
