//! Mistakes in the configuration, each right where a secret stands: what is said of them quotes no secret.

use super::leak;
use super::planted::secret;
use crate::harness::Lab;

/// A broken configuration; `SECRET` stands for the secret.
const BROKEN: &[&str] = &[
    "[[mcp.server]]\nname = \"x\"\ncommand = \"x\"\nenv = { TOKEN = SECRET }\n",
    "[[mcp.server]]\nname = \"x\"\ncommand = \"x\"\nenv = { TOKEN = \"SECRET }\n",
    "[[mcp.server]]\nname = \"x\"\ncommand = \"x\"\nenv = { TOKEN = \"SECRET\", TOKEN = \"SECRET\" }\n",
    "[[mcp.server]]\nname = \"x\"\ncommand = \"x\"\nenv = \"SECRET\"\n",
    "[[mcp.server]]\nname = \"x\"\ncommand = \"x\"\nenv = { TOKEN = [\"SECRET\"] }\n",
    "[[mcp.server]]\nname = \"x\"\ncommand = \"x\"\nenv = { TOKEN = \"${SECRET\" }\n",
    "[[mcp.server]]\nname = \"x\"\ncommand = \"x\"\nenv = { TOKEN = \"${NOT SET:-SECRET}\" }\n",
    "[[mcp.server]]\nname = \"x\"\ncommand = \"x\"\nargs = \"--token SECRET\"\n",
    "[[mcp.server]]\nname = \"x\"\ncommand = \"x --token=SECRET\"\n",
    "[[mcp.server]]\nname = \"x\"\nurl = \"http://127.0.0.1:1/\"\nheaders = [\"SECRET\"]\n",
    "[[mcp.server]]\nname = \"x\"\nurl = \"http://127.0.0.1:1/\"\nheaders = { Authorization = \"Bearer SECRET\\n\" }\n",
    "[[mcp.server]]\nname = \"x\"\nurl = \"http://127.0.0.1:1/\"\nheaders = { \"Bad Name\" = \"SECRET\" }\n",
    "[[mcp.server]]\nname = \"x\"\nurl = \"http://127.0.0.1:1/\"\ntoken = \"SECRET\"\n",
    "[[mcp.server]]\nname = \"x\"\nurl = \"SECRET\"\n",
    "[[mcp.server]]\nname = \"x\"\nurl = \"http://joe:SECRET@127.0.0.1:99999/\"\n",
    "[[mcp.server]]\nname = \"x\"\nurl = \"ftp://joe:SECRET@127.0.0.1/\"\n",
    "[[mcp.server]]\nname = \"x\"\nurl = \"http://h/?key=SECRET\"\nheaders = 1 SECRET\n",
    "[output.pushgateway]\nurl = \"http://joe:SECRET@:1\"\n",
    "[output.pushgateway]\nurl = \"http://127.0.0.1:1\"\npassword = \"SECRET\"\n",
    "[output.pushgateway]\nurl = \"http://127.0.0.1:1\"\nbearer_token = \"SECRET\"\n",
    "[output.pushgateway]\nurl = \"http://joe:SECRET@127.0.0.1:1\"\nusername = \"joe\"\n",
    "[telegram]\ntoken = \"SECRET\"\n",
    "[telegram]\nchat_id = \"1\"\napi_url = \"SECRET\"\n",
    "[[service]]\nname = \"x\"\nurl = \"http://joe:SECRET@\"\n",
    "[[service]]\nname = \"x\"\ntcp = \"joe:SECRET@h:1\"\n",
    "[[thunes]]\nenvironment = \"x\"\nroot = \".\"\nmetrics_url = \"http://joe:SECRET@:x/\"\n",
    "[doctor]\nprometheus = \"joe:SECRET@h\"\n",
    "[[mcp.server]]\nname = \"x\"\ncommand = \"x\"\nenv.TOKEN = \"SECRET\"\nenv.TOKEN.SECRET = 1\n",
    "API_KEY = \"SECRET\"\n",
    "SECRET\n",
];

const COMMANDS: &[&[&str]] = &[
    &["-v", "--once", "--format", "json"],
    &["-v", "config", "check"],
    &["-v", "config", "show"],
    &["-v", "list", "--format", "json"],
];

#[test]
fn a_mistake_at_a_secret_is_named_without_the_secret() {
    let lab = Lab::new();
    let mut leaks = Vec::new();
    for broken in BROKEN {
        lab.config(&format!("[mcp]\ndiscover = false\n{}", broken.replace("SECRET", &secret("slip"))));
        let mut said = false;
        for command in COMMANDS {
            let run = lab.run(command.iter().copied());
            said |= run.code() != Some(0) || !run.stdout().is_empty();
            for text in [run.stdout(), run.stderr()] {
                if let Some(around) = leak(text.as_bytes()) {
                    leaks.push(format!("{command:?} on\n{broken}{around}"));
                }
            }
        }
        assert!(said, "nothing is said of\n{broken}");
    }
    assert!(leaks.is_empty(), "{} leaks:\n{}", leaks.len(), leaks.join("\n"));
}
