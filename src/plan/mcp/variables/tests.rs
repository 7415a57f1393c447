use std::path::PathBuf;

use proptest::prelude::*;

use super::*;
use crate::config::environment::{HostEnvironment, Platform};
use crate::plan::mcp::clients::{self, Client, Scope};
use crate::plan::mcp::places::{ListFile, Project};
use crate::plan::mcp::resolve::Host;

fn environment() -> HostEnvironment {
    HostEnvironment {
        home: Some("/home/joe".into()),
        cwd: None,
        root: "/".into(),
        platform: Platform::Linux,
        env: [("A", "1"), ("_b2", "2"), ("EMPTY", ""), ("NESTED", "${A}")].map(|(n, v)| (n.into(), v.into())).into(),
    }
}

fn client_of(name: &str) -> &'static Client {
    clients::all().iter().find(|client| client.name == name).unwrap_or(clients::generic())
}

/// What comes of a text in a file of this client; of a failure its reason and sentence.
fn expanded_in(
    path: &Path,
    text: &str,
    field: Field,
    client: &str,
    refusal: Option<&Failure>,
) -> Result<String, (Reason, String)> {
    let (environment, client) = (environment(), client_of(client));
    let directory = PathBuf::from("/src/it");
    let project = Some(Project { repository: directory.clone(), directory, only_here: false });
    let file = ListFile { client, scope: Scope::Project, path: path.to_owned(), project, plugin: None };
    let host = Host::new(client, &environment, None);
    let expanded = Resolver { host: &host, file: &file, refusal }.expand(text, field);
    expanded.map_err(|failure| (failure.reason, failure.detail))
}

fn expanded(text: &str, field: Field, client: &str) -> Result<String, (Reason, String)> {
    expanded_in(Path::new("/none/file"), text, field, client, None)
}

#[test]
fn each_rule_expands_its_own_forms_and_no_other() {
    use Field::{Env, Header, Url, Word};
    // Of a failure the words that its sentence has.
    let failed = |reason: Reason, words: &str| Err((reason, words.to_owned()));
    let unset = |name: &str| failed(Reason::MissingEnv, &format!("the variable {name} is not set"));
    let text = |text: &str| Ok(text.to_owned());
    let literal = |text: &str| failed(Reason::MissingEnv, &format!("is not known to expand {text}; nothing was sent"));
    let input = |text: &str| failed(Reason::NeedsInput, &format!("asks a person for ${{{text}}}"));
    let rows = [
        ("claude-code", Word, "x${A}y${_b2}", text("x1y2")),
        ("claude-code", Word, "${NONE:-d}${A:-d}${EMPTY:-d}", text("d1")),
        ("claude-code", Word, "${NONE:-}", text("")),
        ("claude-code", Word, "${NONE:-a:-b}", text("a:-b")),
        ("claude-code", Word, "$A ${} $ {A} ${A", text("$A ${} $ {A} ${A")),
        ("claude-code", Word, "${NESTED}", text("${A}")),
        ("claude-code", Word, "🦀${A}é", text("🦀1é")),
        ("claude-code", Header, "Bearer ${NONE}", unset("NONE")),
        ("gemini-cli", Word, "$A-$_b2-${A}-${NONE:-d}-5$-$5", text("1-2-1-d-5$-$5")),
        ("gemini-cli", Env, "$NONE", unset("NONE")),
        ("cursor", Word, "${env:A}${A}$A", text("1${A}$A")),
        (
            "cursor",
            Word,
            "${userHome}|${workspaceFolder}|${workspaceFolderBasename}|${/}",
            text("/home/joe|/src/it|it|/"),
        ),
        ("cursor", Url, "http://h/${A}", literal("${A}")),
        ("cursor", Word, "${env:NONE}", unset("NONE")),
        ("cursor", Header, "${input:key}", input("input:key")),
        ("cursor", Word, "${config:a.b}", failed(Reason::MissingEnv, "${config:a.b} has a value only inside Cursor")),
        ("windsurf", Header, "${env:A}", text("1")),
        ("windsurf", Word, "${A}", text("${A}")),
        ("windsurf", Header, "${A:-s3cr3t}", literal("${A…}")),
        ("opencode", Header, "{env:A} {x} ${env:A}", literal("${env:A}")),
        ("opencode", Word, "{env:A} {x} {} {other:A}", text("1 {x} {} {other:A}")),
        ("opencode", Word, "{env:NONE}", unset("NONE")),
        ("amazon-q", Env, "$A ${env:A}", text("1 ${env:A}")),
        ("amazon-q", Header, "${env:A} $A", text("1 $A")),
        ("amazon-q", Word, "$A", text("$A")),
        ("file", Word, "${A}${env:A}${NONE:-d}$A", text("11d$A")),
        ("file", Word, "${input:x}", input("input:x")),
        ("codex", Word, "${A} $A {env:A}", text("${A} $A {env:A}")),
        ("codex", Env, "${A}", text("${A}")),
        ("codex", Url, "http://${A}", literal("${A}")),
        ("junie", Word, "${A}", text("${A}")),
        ("junie", Env, "${A}", literal("${A}")),
        ("junie", Header, "${A}", literal("${A}")),
        ("copilot-cli", Word, "${A}", text("${A}")),
        ("copilot-cli", Env, "$A ${A} ${NONE:-d}", text("1 1 d")),
        ("copilot-cli", Header, "${A}", literal("${A}")),
        ("grok-cli", Header, "Bearer ${A} ${NONE:-d}", text("Bearer 1 d")),
        ("kilo-code", Env, "${env:A} ${workspaceFolder}", text("1 /src/it")),
        ("goose", Header, "Bearer $A ${A}", text("Bearer 1 1")),
        ("goose", Env, "$A ${A}", text("$A ${A}")),
        // Each of the others, by what its documentation or source (`Client::documented`) says.
        ("cline", Header, "Bearer ${env:A}", text("Bearer 1")),
        ("cline", Env, "${A}", text("${A}")),
        ("cline-cli", Env, "${env:A}", text("1")),
        ("roo-code", Word, "${env:A} ${workspaceFolder}", text("1 /src/it")),
        ("vscode", Env, "${env:A}", text("1")),
        ("vscode-insiders", Header, "${input:x}", input("input:x")),
        ("windsurf-plugins", Env, "${env:A}", text("1")),
        ("kiro", Env, "${A}", text("1")),
        ("kiro", Header, "Bearer ${NONE}", unset("NONE")),
        ("qwen-code", Env, "$A ${A}", text("1 1")),
        ("kilo", Header, "{env:A}", text("1")),
        ("crush", Header, "Bearer $A", text("Bearer 1")),
        ("crush", Header, "Bearer $(cat /token)", failed(Reason::MissingEnv, "runs a command for a value")),
        ("mcphub-nvim", Env, "${A}", text("1")),
        ("mcphub-nvim", Env, "${cmd: pass x}", failed(Reason::MissingEnv, "runs a command for a value")),
        ("mcporter", Env, "${NONE:-d}", text("d")),
        ("mcporter", Header, "${A}", text("1")),
        ("continue", Header, "Bearer ${{ secrets.A }}", text("Bearer 1")),
        ("continue", Header, "${{ secrets.NONE }}", unset("NONE")),
        ("amp", Header, "${A}", text("1")),
        ("hermes", Env, "${A}", text("1")),
        ("zed", Env, "${A}", text("${A}")),
        ("claude-desktop", Env, "${A}", text("${A}")),
        ("mistral-vibe", Env, "${A}", text("${A}")),
        ("antigravity", Env, "${A}", text("${A}")),
        ("antigravity", Header, "${A}", literal("${A}")),
        ("trae", Word, "${workspaceFolder} ${A}", text("/src/it ${A}")),
        ("trae", Header, "${A}", literal("${A}")),
        ("factory-droid", Url, "http://${A}/${NONE:-d}", text("http://1/d")),
        ("factory-droid", Env, "${NONE}", unset("NONE")),
        ("warp", Word, "${A} $A", text("1 $A")),
        ("warp", Header, "${NONE}", unset("NONE")),
        ("augment", Header, "${A} $A", text("1 $A")),
        ("augment", Header, "${augmentToken}", unset("augmentToken")),
        ("devin", Header, "Bearer ${env:A}", text("Bearer 1")),
        ("devin", Header, "${A}", literal("${A}")),
        ("kimi-code", Env, "${A}", text("${A}")),
        ("kimi-code", Header, "${A}", literal("${A}")),
    ];
    for (client, field, written, expected) in &rows {
        let source = &client_of(client).documented;
        let found = expanded(written, *field, client);
        let is_right = match (&found, expected) {
            (Err((reason, detail)), Err((expected, words))) => reason == expected && detail.contains(words.as_str()),
            _ => found == *expected,
        };
        assert!(is_right, "{client} ({source}) {field:?} {written:?}: {found:?}, not {expected:?}");
    }
    let forms = [
        "`$VAR`",
        "`${VAR}`",
        "`${VAR:-default}`",
        "`${env:VAR}`",
        "`{env:VAR}`, `{file:path}`",
        "`${file:/path}`",
        EDITOR,
        "`${input:…}` is `needs_input`",
        "`${workspaceFolder}`",
        "`${{ secrets.VAR }}`",
        COMMANDS,
    ];
    let places = ["", "variables", "headers", "variables and headers"];
    for written in
        clients::all().iter().chain([clients::generic()]).flat_map(|client| client.variables.0.iter().flatten())
    {
        let (form, place) = written.split_once(" in ").unwrap_or((written, ""));
        assert!(forms.contains(&form) && places.contains(&place), "{written:?} is no rule");
    }
    let known = clients::all().iter().filter(|client| client.variables.is_known());
    for client in known {
        assert!(rows.iter().any(|row| row.0 == client.name), "{} has no row", client.name);
    }
}

#[test]
fn a_file_stands_for_its_contents_unless_the_config_is_not_trusted() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(directory.path().join("token"), " t0ken\n").expect("written");
    std::fs::write(directory.path().join("binary"), b"\xff").expect("written");
    let header = |text: &str, refusal| {
        expanded_in(&directory.path().join("mcp_config.json"), text, Field::Header, "windsurf", refusal)
    };
    let cannot = |found: Result<String, (Reason, String)>| {
        found.is_err_and(|(reason, detail)| reason == Reason::MissingEnv && detail.contains("cannot be read"))
    };
    assert_eq!(header("Bearer ${file:token}", None), Ok("Bearer t0ken".into()));
    for name in ["binary", "gone", "."] {
        assert!(cannot(header(&format!("${{file:{name}}}"), None)), "{name}");
    }
    let refusal = Failure::new(Reason::Untrusted, "nobody has allowed it");
    assert!(cannot(header("${file:token}", Some(&refusal))));
}

#[test]
fn braces_cost_no_more_than_the_text_is_long() {
    let begun = crate::clock::instant();
    for (client, open) in [("opencode", "{"), ("opencode", "{env"), ("continue", "${{a}"), ("continue", "${{")] {
        let text = format!("{}}}", open.repeat((1 << 20) / open.len()));
        let _ = expanded(&text, Field::Word, client);
    }
    assert!(begun.elapsed() < std::time::Duration::from_secs(30), "{:?}", begun.elapsed());
}

proptest! {
    #[test]
    fn text_without_signs_stays_and_no_text_makes_it_panic(plain in "[a-zé🦀 .:/-]{0,40}", odd in "[${}:A\\-env file🦀]{0,40}") {
        for client in clients::all().iter().map(|client| client.name.as_str()) {
            for field in [Field::Word, Field::Env, Field::Url, Field::Header] {
                prop_assert_eq!(expanded(&plain, field, client), Ok(plain.clone()));
                let _ = expanded(&odd, field, client);
            }
        }
    }
}
