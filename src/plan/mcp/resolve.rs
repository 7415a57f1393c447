//! From an entry as written to a server that can be asked: variables expanded by the client's rule, paths made
//! absolute, URLs and headers checked. What stands in the way becomes that server's failure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;
use ureq::http::HeaderName;
use url::Url;

use super::clients::{Client, Unit};
use super::entry::Entry;
use super::places::{self, ListFile};
use super::variables::{self, Field, dotenv};
use super::{document, readers, switches};
use crate::config::environment::HostEnvironment;
use crate::model::mcp::{HttpServer, Reach, StdioServer};
use crate::model::reason::{Failure, Reason};
use crate::redact::{Secret, credential_of};

/// The most that is read of an environment file, or of a client's record of logins.
const ENV_FILE_LIMIT: u64 = 1 << 20;

#[derive(Debug)]
pub(super) struct Host<'a> {
    pub(super) client: &'static Client,
    pub(super) environment: &'a HostEnvironment,
    /// How long the client waits for any server to start, where the user has set that.
    pub(super) limit: Option<Duration>,
    ca_file: Option<PathBuf>,
    pub(super) logins: BTreeSet<String>,
}

impl<'a> Host<'a> {
    pub(super) fn new(client: &'static Client, environment: &'a HostEnvironment, ca_file: Option<&Path>) -> Self {
        let settings = client.environment.as_ref().and_then(|file| places::locate(file, environment));
        let settings = settings.and_then(|path| switches::settings(&path).ok()).unwrap_or_default();
        let variable = |name: &str| {
            let own = document::find(&settings, "env").and_then(|env| env.get(name)?.as_str());
            own.or_else(|| environment.var(name)).map(str::to_owned)
        };
        let limit = client.limit_variable.as_deref().and_then(variable).and_then(|text| text.trim().parse().ok());
        let extra_ca = || variable("NODE_EXTRA_CA_CERTS").filter(|_| !client.is_native).map(PathBuf::from);
        let records = client.login.as_ref().and_then(|login| login.records.as_ref());
        let records = records.and_then(|(file, key)| Some((places::locate(file, environment)?, key)));
        Host {
            client,
            environment,
            limit: limit.and_then(|limit| readers::limit_of(limit, Unit::Milliseconds)),
            ca_file: ca_file.map(Path::to_owned).or_else(extra_ca).filter(|path| path.is_absolute()),
            logins: records.map(|(path, key)| logins(&path, key)).unwrap_or_default(),
        }
    }
}

/// The names in a client's record of logins. The tokens in it are read over and not kept.
fn logins(path: &Path, key: &str) -> BTreeSet<String> {
    let bytes = crate::fs::read_capped(path, ENV_FILE_LIMIT).unwrap_or_default();
    let records = match serde_json::from_slice(&bytes) {
        Ok(Value::Object(mut root)) if !key.is_empty() => root.remove(key).unwrap_or_default(),
        root => root.unwrap_or_default(),
    };
    match &records {
        Value::Array(records) => records.iter().filter_map(|one| Some(one.get(key)?.as_str()?.to_owned())).collect(),
        Value::Object(records) => records.keys().filter_map(|key| key.split('|').next()).map(str::to_owned).collect(),
        _ => BTreeSet::new(),
    }
}

/// Where an entry stands: the strings in it are expanded by the rule of its client, for its file, project and plugin.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resolver<'a> {
    pub(super) host: &'a Host<'a>,
    pub(super) file: &'a ListFile,
    /// Why none of this file's servers may be started, if so. Nothing but the file itself is read then.
    pub(super) refusal: Option<&'a Failure>,
}

/// What makes it the same server as another entry: program, arguments, variables and working directory, or URL and headers. Two
/// worktrees of one repository that say the same mean the same.
pub(super) type Identity = Vec<Secret>;

impl Resolver<'_> {
    pub(super) fn resolve(&self, entry: &Entry) -> (Reach, Identity) {
        let expanded = match &entry.written {
            Reach::Stdio(written) => self.stdio(entry, written).map(Reach::Stdio),
            Reach::Http(written) => self.http(entry, written).map(Reach::Http),
            Reach::Unreachable(failure) => Err(failure.clone()),
            script @ Reach::Script(_) => Ok(script.clone()),
        };
        let same = self.identity(expanded.as_ref().unwrap_or(&entry.written));
        let off =
            |off: &String| Failure::new(Reason::Disabled, format!("switched off in {}: {off}", self.host.client.title));
        let reach = match entry.off.as_ref().map(off).or_else(|| self.refusal.cloned()) {
            Some(refusal) => Err(refusal),
            None => expanded.and_then(sendable).map_err(|failure| self.with_hint(failure)),
        };
        (reach.unwrap_or_else(Reach::Unreachable), same)
    }

    /// What to do about an entry that cannot be used as it is written.
    fn with_hint(&self, failure: Failure) -> Failure {
        if failure.hint.is_some() || failure.reason == Reason::NeedsInput {
            return failure;
        }
        let hint = match failure.reason {
            Reason::NotConfigured if failure.detail != readers::DROPPED => {
                "leave it: it raises no alert; or give it a health script in `health_dir`".to_owned()
            }
            _ => format!("correct the entry in {}", self.file.path.display()),
        };
        failure.with_hint(hint)
    }

    fn stdio(&self, entry: &Entry, written: &StdioServer) -> Result<StdioServer, Failure> {
        let secret = |text: &Secret, field| self.expand(text.expose(), field).map(Secret::new);
        let mut env = entry.env_file.as_ref().map(|file| self.env_file(file)).transpose()?.unwrap_or_default();
        for name in &entry.inherit {
            env.extend(self.host.environment.var(name).map(|value| (name.clone(), Secret::new(value))));
        }
        for name in &entry.require {
            env.insert(name.clone(), Secret::new(self.variable(name, None)?));
        }
        for (name, value) in &written.env {
            env.insert(name.clone(), secret(value, Field::Env)?);
        }
        Ok(StdioServer {
            command: self.expand(&written.command, Field::Word)?,
            args: written.args.iter().map(|arg| secret(arg, Field::Word)).collect::<Result<_, _>>()?,
            env,
            cwd: match &written.cwd {
                Some(cwd) => Some(self.base().join(self.expand(&cwd.to_string_lossy(), Field::Word)?)),
                None => self.file.workspace().filter(|directory| directory.is_dir()).map(Path::to_owned),
            },
        })
    }

    /// The variables of `envFile`; a file that cannot be read keeps the server from being started, as in VS Code.
    fn env_file(&self, file: &str) -> Result<BTreeMap<String, Secret>, Failure> {
        let expanded = self.expand(file, Field::Word)?;
        if self.refusal.is_some() {
            return Ok(BTreeMap::new());
        }
        let path = self.base().join(&expanded);
        // What a variable holds is not shown, and a default in its place may be a token.
        let shown = if expanded == file { path.display().to_string() } else { "the file under `envFile`".into() };
        let bytes = crate::fs::read_capped(&path, ENV_FILE_LIMIT);
        bytes.map(|bytes| dotenv(&bytes)).map_err(|e| variables::unreadable(&shown, &e.to_string()))
    }

    fn http(&self, entry: &Entry, written: &HttpServer) -> Result<HttpServer, Failure> {
        let mut headers: BTreeMap<String, Secret> = BTreeMap::new();
        for (name, value) in &written.headers {
            // Surrounding white space is never part of a header's value; a token read from a file often has some.
            let expanded = self.expand(value.expose(), Field::Header)?;
            // A variable that is set to nothing leaves no credential, whatever scheme stands before it.
            if expanded == value.expose() || !credential_of(&expanded).is_empty() {
                headers.insert(name.clone(), Secret::new(expanded.trim()));
            }
        }
        for (name, prefix, variable) in &entry.env_headers {
            let value = self.variable(variable, None)?;
            headers.insert(name.clone(), Secret::new(format!("{prefix}{}", value.trim())));
        }
        let login = self.host.client.login.as_ref().map(|login| login.command.replace("NAME", &entry.name));
        Ok(HttpServer {
            url: Secret::new(self.expand(written.url.expose(), Field::Url)?.trim()),
            transport: written.transport,
            headers: headers.into_iter().collect(),
            ca_file: self.host.ca_file.clone(),
            login,
        })
    }

    /// What relative paths are relative to: the project or plugin, else the home.
    fn base(&self) -> &Path {
        let plugin = self.file.plugin.as_ref().map(|plugin| plugin.directory.as_path());
        let home = self.host.environment.home.as_deref();
        self.file.workspace().or(plugin).or(home).unwrap_or(Path::new("/"))
    }

    fn identity(&self, reach: &Reach) -> Identity {
        match reach {
            Reach::Stdio(server) => self.stdio_identity(server),
            // The transport is no part of it: one client spells out what another finds out.
            Reach::Http(HttpServer { url, headers, .. }) => {
                let header =
                    |(name, value): &(String, Secret)| format!("{}: {}", name.to_ascii_lowercase(), value.expose());
                let mut headers: Vec<String> = headers.iter().map(header).collect();
                headers.sort_unstable();
                let url = format!("http {}", url.expose().trim_end_matches('/'));
                [url].into_iter().chain(headers).map(Secret::new).collect()
            }
            Reach::Unreachable(failure) => vec![Secret::new("broken"), Secret::new(&*failure.detail)],
            Reach::Script(script) => script.command.clone(),
        }
    }

    fn stdio_identity(&self, server: &StdioServer) -> Identity {
        let project = self.file.project.as_ref();
        let elsewhere = server.cwd.as_ref().filter(|cwd| project.is_none_or(|project| **cwd != project.directory));
        let cwd = elsewhere.map(|cwd| cwd.to_string_lossy());
        let words =
            ["stdio", &server.command].into_iter().chain(server.args.iter().map(Secret::expose)).chain(["with"]);
        let env = server.env.iter().flat_map(|(name, value)| [name.as_str(), value.expose()]);
        let mut parts: Vec<String> = words.chain(env).chain(cwd.as_deref()).map(str::to_owned).collect();
        if let Some(project) = project {
            // Another worktree of the repository says the same with its own path in it.
            let directory = project.directory.to_string_lossy();
            let here = "${workspaceFolder}";
            parts.iter_mut().for_each(|part| *part = part.replace(&*directory, here));
            if parts.iter().any(|part| part.contains(here) || looks_relative(part)) {
                parts.push(project.repository.to_string_lossy().into_owned());
            }
        }
        parts.into_iter().map(Secret::new).collect()
    }
}

/// Whether a word of a command line seems to name a file relative to the working directory (`dist/index.js`,
/// `./server`, `server.py`): the same words in another repository then mean another server. Only used to tell that.
fn looks_relative(word: &str) -> bool {
    if word.starts_with(['/', '~', '@', '-', '$']) || word.contains("://") || word.contains(char::is_whitespace) {
        return false;
    }
    let script = [".js", ".mjs", ".cjs", ".ts", ".py", ".sh", ".rb", ".jar"].iter().any(|end| word.ends_with(end));
    script || word.starts_with('.') || word.contains('/')
}

/// Errors: An address or a header that cannot be sent.
fn sendable(reach: Reach) -> Result<Reach, Failure> {
    let Reach::Http(server) = &reach else { return Ok(reach) };
    let refused = |detail: &str| Err(Failure::new(Reason::ConnectFailed, detail));
    if server.url.expose().is_empty() {
        // `${VAR:-}` says: without this variable, leave the server out.
        let failure = Failure::new(Reason::NotConfigured, "its URL is empty");
        return Err(failure.with_hint("set the variable that the URL is made of, or leave the server out"));
    }
    match Url::parse(server.url.expose()) {
        Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {}
        // Nothing is known of such a server.
        Ok(url) if matches!(url.scheme(), "unix" | "pipe" | "ws" | "wss") => {
            let detail = format!("lab-probe cannot check servers over {:?}", url.scheme());
            return Err(Failure::new(Reason::NotConfigured, detail));
        }
        Ok(_) | Err(url::ParseError::RelativeUrlWithoutBase) => {
            return refused("the URL does not begin with http:// or https://");
        }
        Err(error) => return refused(&format!("the URL is not valid: {error}")),
    }
    for (name, value) in &server.headers {
        if HeaderName::try_from(name).is_err() {
            // Not quoted: a whole header with its token may have been written in place of the name.
            return refused("the name of a header is empty or has a sign in it that no header's name has");
        }
        if value.expose().chars().any(|c| c.is_control() && c != '\t') {
            return refused(&format!("the value of the header {name} has a control character in it"));
        }
    }
    Ok(reach)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::mcp::HttpTransport;

    #[test]
    fn words_that_mean_another_file_in_another_directory_are_told_from_the_rest() {
        for word in ["./run", "../x", "dist/index.js", "server.py", ".venv/bin/python", "bin/run"] {
            assert!(looks_relative(word), "{word}");
        }
        for word in
            ["npx", "-y", "@scope/pkg", "/abs/run.py", "https://h/x.js", "mcp-server", "${HOME}/x", "a b/c", "~/x.py"]
        {
            assert!(!looks_relative(word), "{word}");
        }
    }

    #[test]
    fn what_cannot_be_sent_is_said_without_quoting_it() {
        let header = |name: &str, value: &str| vec![(name.to_owned(), Secret::new(value))];
        let server = |url: &str, headers: Vec<(String, Secret)>| HttpServer {
            url: Secret::new(url),
            transport: HttpTransport::Auto,
            headers,
            ca_file: None,
            login: None,
        };
        let refusal = |url, headers| sendable(Reach::Http(server(url, headers))).err();
        assert_eq!(refusal("", vec![]).expect("refused").reason, Reason::NotConfigured);
        assert_eq!(refusal("https://joe:pw@h/mcp?key=1", header("X-Key", "a\tb")), None);
        for (url, headers) in [
            ("s3cr3t", vec![]),
            ("ftp://s3cr3t@h/", vec![]),
            ("s3cr3t.example/mcp", vec![]),
            ("unix:///s3cr3t#/mcp", vec![]),
            ("http://", vec![]),
            ("http://h/", header("Authorization: s3cr3t", "")),
            ("http://h/", header("", "s3cr3t")),
            ("http://h/", header("X", "s3cr3t\r\nY: 1")),
        ] {
            let detail = refusal(url, headers).unwrap_or_else(|| panic!("{url} should be refused")).detail;
            assert!(!detail.contains("s3cr3t"), "{detail}");
        }
    }
}
