//! Reads what rotation has compressed, as the file that it was.

use std::io::{self, BufRead, BufReader, Read};

use flate2::read::MultiGzDecoder;
use lzma_rust2::XzReader;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};

/// Memory that unpacking xz may take, in KiB: what `xz -9` needs. A damaged header may ask for 4 GiB.
const XZ_MEMORY_KIB: u32 = 80 << 10;

/// How a file's content is packed, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Plain,
    Gzip,
    Xz,
    Zstd,
    /// In a form that is not read: an archive, another compression, a backup whose place in the order is not known.
    Unread,
}

impl Form {
    /// The form that a file's name states, and the name without it.
    pub(super) fn of(name: &str) -> (&str, Form) {
        const READ: [(&str, Form); 3] = [(".gz", Form::Gzip), (".xz", Form::Xz), (".zst", Form::Zstd)];
        const ARCHIVES: [&str; 7] = [".zip", ".tar", ".tgz", ".bz2", ".7z", ".lz4", ".Z"];
        let read = READ.iter().find_map(|(suffix, form)| Some((name.strip_suffix(suffix)?, *form)));
        let (base, form) = read.unwrap_or((name, Form::Plain));
        // A compressed archive holds file headers between the lines.
        let inner = ARCHIVES.iter().find_map(|suffix| base.strip_suffix(suffix));
        inner.map_or((base, form), |inner| (inner, Form::Unread))
    }

    pub(super) fn is_compressed(self) -> bool {
        matches!(self, Form::Gzip | Form::Xz | Form::Zstd)
    }
}

pub(super) struct Unpacked(Box<dyn Read>);

impl Unpacked {
    pub(super) fn new(file: impl Read + 'static, form: Form) -> Unpacked {
        let source = BufReader::with_capacity(64 << 10, file);
        Unpacked(match form {
            Form::Gzip => Box::new(MultiGzDecoder::new(source)),
            Form::Xz => Box::new(XzReader::new_mem_limit(source, true, XZ_MEMORY_KIB)),
            Form::Zstd => Box::new(ZstdFrames { source, decoder: FrameDecoder::new() }),
            Form::Plain | Form::Unread => Box::new(source),
        })
    }
}

impl Read for Unpacked {
    /// Errors: One of the operating system's has its number; any other means that the data is damaged.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.read(buffer).map_err(|error| {
            // Decoders wrap what the operating system refused in errors of their own.
            let mut causes = anyhow::Chain::new(&error);
            let code = causes.find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
            code.map_or(error, io::Error::from_raw_os_error)
        })
    }
}

/// All frames of a zstd file; the decoder reads one.
struct ZstdFrames<R: BufRead> {
    source: R,
    decoder: FrameDecoder,
}

impl<R: BufRead> Read for ZstdFrames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.decoder.can_collect() == 0 {
            if !self.decoder.is_finished() {
                let step = BlockDecodingStrategy::UptoBlocks(1);
                self.decoder.decode_blocks(&mut self.source, step).map_err(io::Error::other)?;
                continue;
            }
            if self.source.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match self.decoder.reset(&mut self.source) {
                Ok(()) => {}
                Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame { length, .. })) => {
                    io::copy(&mut self.source.by_ref().take(u64::from(length)), &mut io::sink())?;
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        self.decoder.read(buffer)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    struct Refused;

    impl Read for Refused {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::from_raw_os_error(libc::EIO))
        }
    }

    #[test]
    fn all_frames_and_streams_of_a_file_are_read_and_damage_is_no_end() {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let text = "line\n".repeat(100_000);
        let gzip = || {
            let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            writer.write_all(text.as_bytes()).expect("packed");
            writer.finish().expect("finished")
        };
        let xz = || {
            let mut writer =
                lzma_rust2::XzWriter::new(Vec::new(), lzma_rust2::XzOptions::with_preset(1)).expect("options");
            writer.write_all(text.as_bytes()).expect("packed");
            writer.finish().expect("finished")
        };
        let zstd = || ruzstd::encoding::compress_to_vec(text.as_bytes(), ruzstd::encoding::CompressionLevel::Fastest);
        let skippable = b"\x50\x2a\x4d\x18\x03\0\0\0abc".to_vec();
        for (form, pieces) in [
            (Form::Gzip, vec![gzip(), gzip()]),
            (Form::Xz, vec![xz(), xz()]),
            (Form::Zstd, vec![zstd(), skippable, zstd()]),
        ] {
            let path = directory.path().join("packed");
            let read = |bytes: &[u8]| {
                std::fs::write(&path, bytes).expect("written");
                let mut unpacked = String::new();
                let file = crate::fs::open_regular(&path).expect("opened");
                Unpacked::new(file, form).read_to_string(&mut unpacked).map(|_| unpacked)
            };
            let whole = pieces.concat();
            assert_eq!(read(&whole).expect("whole"), text.repeat(2), "{form:?}");
            let error = read(&whole[..whole.len() - 20]).expect_err("cut short");
            assert_eq!(error.raw_os_error(), None, "{form:?}");
            assert!(read(b"no such data").is_err(), "{form:?}");
            // What the operating system refuses is no damage, wherever it comes.
            for cut in (0..whole.len()).step_by(whole.len() / 20) {
                let file = io::Cursor::new(whole[..cut].to_vec()).chain(Refused);
                let error = Unpacked::new(file, form).read_to_end(&mut Vec::new()).expect_err("refused");
                assert_eq!(error.raw_os_error(), Some(libc::EIO), "{form:?} at {cut} of {}: {error:?}", whole.len());
            }
        }
    }

    #[test]
    fn the_form_is_that_of_the_last_suffix() {
        for (name, base, form) in [
            ("a.1", "a.1", Form::Plain),
            ("a.1.gz", "a.1", Form::Gzip),
            ("a.1.log.zst", "a.1.log", Form::Zstd),
            ("a.tar.xz", "a", Form::Unread),
            ("a.1.zip", "a.1", Form::Unread),
        ] {
            assert_eq!(Form::of(name), (base, form));
        }
    }
}
