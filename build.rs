//! Links the unwinder into the program instead of loading it at every start.
//!
//! libgcc_s.so.1 asks the processor for its features when it is loaded. In a virtual machine every such question is a
//! trap; with mapping and linking the library that is a tenth of a millisecond, 2,880 times a day.

use std::path::Path;
use std::process::Command;

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed=CC");
    let target = |what: &str| std::env::var(format!("CARGO_CFG_TARGET_{what}")).unwrap_or_default();
    if target("OS") != "linux" || target("ENV") != "gnu" {
        return;
    }
    let Some(compiler) = linking_compiler() else { return };
    // A compiler that does not have it says the bare name; then the shared one is used as ever.
    let Ok(said) = Command::new(compiler).arg("-print-file-name=libgcc_eh.a").output() else { return };
    let said = String::from_utf8_lossy(&said.stdout);
    let archive = Path::new(said.trim());
    if let (true, Some(directory)) = (archive.is_file(), archive.parent().and_then(Path::to_str)) {
        println!("cargo:rustc-link-search=native={directory}");
        println!("cargo:rustc-link-lib=static:-bundle=gcc_eh");
    }
}

/// The compiler that links the program: the linker that cargo is configured with, else the system's own. For another
/// system than this one only the former is known to have libraries for it.
fn linking_compiler() -> Option<String> {
    let system = || std::env::var("CC").unwrap_or_else(|_| "cc".into());
    let is_native = std::env::var("HOST") == std::env::var("TARGET");
    std::env::var("RUSTC_LINKER").ok().or_else(|| is_native.then(system))
}
