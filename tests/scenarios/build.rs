//! Generates a module for each `plugins/<plugin>/scenarios`, so that no list of scenarios is necessary.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    // Read at run time: a copied target folder may hold this program as another clone compiled it.
    let here = env::var_os("CARGO_MANIFEST_DIR").ok_or(io::ErrorKind::NotFound)?;
    let plugins = Path::new(&here).join("../../plugins");
    println!("cargo::rerun-if-changed=build.rs");
    println!("cargo::rerun-if-env-changed=CARGO_MANIFEST_DIR");
    // A new plugin changes the list of plugins.
    println!("cargo::rerun-if-changed=../../plugins/portcullis/src/lib.rs");

    let mut modules = Vec::new();
    for entry in fs::read_dir(plugins)? {
        let folder = entry?.path();
        let source = folder.join("scenarios/mod.rs");
        let name = folder.file_name().and_then(|name| name.to_str());
        if let Some(name) = name.filter(|_| source.exists()) {
            // The module of all plugins has the capabilities of each.
            let is_subject = folder.join("scenarios/capabilities.rs").exists();
            modules.push((name.replace('-', "_"), source, is_subject));
        }
    }
    modules.sort();

    let mut code = String::new();
    for (name, source, _) in &modules {
        code += &format!("#[path = {source:?}]\npub mod {name};\n");
    }
    let calls = |function: &str, is_meant: fn(bool) -> bool| {
        let calls = modules
            .iter()
            .filter(|(_, _, is_subject)| is_meant(*is_subject));
        let calls = calls.map(|(name, _, _)| format!("{name}::{function}()"));
        calls.collect::<Vec<_>>().join(", ")
    };
    code += &format!(
        "fn scenarios_of_plugins() -> Vec<Scenario> {{ [{}].into_iter().flatten().collect() }}\n\
         fn capability_subjects() -> Vec<capabilities::Subject> {{ vec![{}] }}\n",
        calls("scenarios", |_| true),
        calls("capabilities", |is_subject| is_subject),
    );
    let target = env::var_os("OUT_DIR").ok_or(io::ErrorKind::NotFound)?;
    fs::write(Path::new(&target).join("plugins.rs"), code)
}
