use proptest::prelude::*;

use super::*;
use crate::config::environment::Platform;
use crate::plan::mcp::clients::{self, Client};

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

fn expanded(text: &str, field: Field, client: &str) -> Result<String, Unresolved> {
    let environment = environment();
    let workspace = Some(Path::new("/src/it"));
    expand(
        text,
        field,
        &client_of(client).variables,
        Context { environment: &environment, workspace, directory: Path::new("/none"), read_files: true, plugin: None },
    )
}

#[test]
fn each_rule_expands_its_own_forms_and_no_other() {
    use Field::{Argument, Env, Header, Url};
    let unset = |name: &str| Err(Unresolved::Unset(name.into()));
    let text = |text: &str| Ok(text.to_owned());
    let literal = |text: &str| Err(Unresolved::NotExpanded(text.into()));
    let rows = [
        ("claude-code", Argument, "x${A}y${_b2}", text("x1y2")),
        ("claude-code", Argument, "${NONE:-d}${A:-d}${EMPTY:-d}", text("d1")),
        ("claude-code", Argument, "${NONE:-}", text("")),
        ("claude-code", Argument, "${NONE:-a:-b}", text("a:-b")),
        ("claude-code", Argument, "$A ${} $ {A} ${A", text("$A ${} $ {A} ${A")),
        ("claude-code", Argument, "${NESTED}", text("${A}")),
        ("claude-code", Argument, "🦀${A}é", text("🦀1é")),
        ("claude-code", Header, "Bearer ${NONE}", unset("NONE")),
        ("gemini-cli", Argument, "$A-$_b2-${A}-${NONE:-d}-5$-$5", text("1-2-1-d-5$-$5")),
        ("gemini-cli", Env, "$NONE", unset("NONE")),
        ("cursor", Argument, "${env:A}${A}$A", text("1${A}$A")),
        (
            "cursor",
            Argument,
            "${userHome}|${workspaceFolder}|${workspaceFolderBasename}|${/}",
            text("/home/joe|/src/it|it|/"),
        ),
        ("cursor", Url, "http://h/${A}", literal("${A}")),
        ("cursor", Argument, "${env:NONE}", unset("NONE")),
        ("cursor", Header, "${input:key}", Err(Unresolved::Input("input:key".into()))),
        ("cursor", Argument, "${config:a.b}", Err(Unresolved::EditorOnly("config:a.b".into()))),
        ("windsurf", Header, "${env:A}", text("1")),
        ("windsurf", Argument, "${A}", text("${A}")),
        ("windsurf", Header, "${A:-s3cr3t}", literal("${A…}")),
        ("opencode", Header, "{env:A} {x} ${env:A}", literal("${env:A}")),
        ("opencode", Argument, "{env:A} {x} {} {other:A}", text("1 {x} {} {other:A}")),
        ("opencode", Argument, "{env:NONE}", unset("NONE")),
        ("amazon-q", Env, "$A ${env:A}", text("1 ${env:A}")),
        ("amazon-q", Header, "${env:A} $A", text("1 $A")),
        ("amazon-q", Argument, "$A", text("$A")),
        ("file", Argument, "${A}${env:A}${NONE:-d}$A", text("11d$A")),
        ("file", Argument, "${input:x}", Err(Unresolved::Input("input:x".into()))),
        ("codex", Argument, "${A} $A {env:A}", text("${A} $A {env:A}")),
        ("codex", Env, "${A}", text("${A}")),
        ("codex", Url, "http://${A}", literal("${A}")),
        ("junie", Argument, "${A}", text("${A}")),
        ("junie", Env, "${A}", literal("${A}")),
        ("junie", Header, "${A}", literal("${A}")),
        ("copilot-cli", Argument, "${A}", text("${A}")),
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
        ("roo-code", Argument, "${env:A} ${workspaceFolder}", text("1 /src/it")),
        ("vscode", Env, "${env:A}", text("1")),
        ("vscode-insiders", Header, "${input:x}", Err(Unresolved::Input("input:x".into()))),
        ("windsurf-plugins", Env, "${env:A}", text("1")),
        ("kiro", Env, "${A}", text("1")),
        ("kiro", Header, "Bearer ${NONE}", unset("NONE")),
        ("qwen-code", Env, "$A ${A}", text("1 1")),
        ("kilo", Header, "{env:A}", text("1")),
        ("crush", Header, "Bearer $A", text("Bearer 1")),
        ("crush", Header, "Bearer $(cat /token)", Err(Unresolved::Command)),
        ("mcphub-nvim", Env, "${A}", text("1")),
        ("mcphub-nvim", Env, "${cmd: pass x}", Err(Unresolved::Command)),
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
        ("trae", Argument, "${workspaceFolder} ${A}", text("/src/it ${A}")),
        ("trae", Header, "${A}", literal("${A}")),
        ("factory-droid", Url, "http://${A}/${NONE:-d}", text("http://1/d")),
        ("factory-droid", Env, "${NONE}", unset("NONE")),
        ("warp", Argument, "${A} $A", text("1 $A")),
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
        assert_eq!(&expanded(written, *field, client), expected, "{client} ({source}) {field:?} {written:?}");
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
    let environment = environment();
    let context = Context {
        environment: &environment,
        workspace: None,
        directory: directory.path(),
        read_files: true,
        plugin: None,
    };
    let header = |text: &str, context| expand(text, Field::Header, &client_of("windsurf").variables, context);
    assert_eq!(header("Bearer ${file:token}", context), Ok("Bearer t0ken".into()));
    for name in ["binary", "gone", "."] {
        assert!(matches!(header(&format!("${{file:{name}}}"), context), Err(Unresolved::File(..))), "{name}");
    }
    let context = Context { read_files: false, ..context };
    assert!(matches!(header("${file:token}", context), Err(Unresolved::File(..))));
}

proptest! {
    #[test]
    fn text_without_signs_stays_and_no_text_makes_it_panic(plain in "[a-zé🦀 .:/-]{0,40}", odd in "[${}:A\\-env file🦀]{0,40}") {
        for client in clients::all().iter().map(|client| client.name.as_str()) {
            for field in [Field::Command, Field::Argument, Field::Env, Field::Path, Field::Url, Field::Header] {
                prop_assert_eq!(expanded(&plain, field, client), Ok(plain.clone()));
                let _ = expanded(&odd, field, client);
            }
        }
    }
}
