//! The command as users run it in CI.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

fn validate(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_portcullis-validate"));
    command.args(arguments).current_dir(files());
    command
}

fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// Compares the output for a file with the text file next to it, in which `…` matches the rest of the line.
fn says_what_it_should(file: &str) {
    let output = validate(&[file]).output().unwrap();
    let found = text(&output);
    let expected = fs::read_to_string(files().join(file).with_extension("txt")).unwrap();
    let fits = found.lines().count() == expected.lines().count()
        && found
            .lines()
            .zip(expected.lines())
            .all(|(found, expected)| match expected.strip_suffix('…') {
                Some(start) => found.starts_with(start),
                None => found == expected,
            });
    assert!(fits, "found\n{found}\nexpected\n{expected}");
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn manifests_of_istio_have_lines_and_paths() {
    says_what_it_should("istio.yaml");
}

#[test]
fn policies_of_envoy_gateway_have_lines_and_paths() {
    says_what_it_should("gateway.yaml");
}

#[test]
fn filters_and_routes_of_the_library_have_lines_and_paths() {
    says_what_it_should("library.yaml");
}

#[test]
fn a_bootstrap_has_lines_and_paths_and_warnings() {
    says_what_it_should("envoy.yaml");
}

#[test]
fn a_response_of_a_control_plane_is_read() {
    says_what_it_should("ecds.json");
}

#[test]
fn a_configuration_is_known_by_its_file_or_by_the_option() {
    let folder = tempfile::tempdir().unwrap();
    let configuration = "{\n  \"limits\": [],\n  \"mdoe\": \"shadow\"\n}\n";
    let of_plugin = folder.path().join("rate_limit.json");
    let of_nobody = folder.path().join("edge.json");
    fs::write(&of_plugin, configuration).unwrap();
    fs::write(&of_nobody, configuration).unwrap();

    let output = validate(&[of_plugin.to_str().unwrap()]).output().unwrap();
    assert!(text(&output).contains("rate_limit.json:3: error: rate-limit: $.mdoe: unknown field"));
    assert_eq!(output.status.code(), Some(1));

    // Such as the values of a Helm chart.
    let no_plugin = folder.path().join("values.yaml");
    fs::write(&no_plugin, "replicas: 2\n").unwrap();
    let output = validate(&["--plugin", "rate_limit", no_plugin.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(text(&output).contains("values.yaml:1: note: no plugin in this file"));
    assert_eq!(output.status.code(), Some(0));

    let of_nobody = of_nobody.to_str().unwrap();
    let output = validate(&[of_nobody]).output().unwrap();
    assert!(text(&output).contains("the plugin is unknown; use --plugin"));
    assert_eq!(output.status.code(), Some(1));

    let output = validate(&["--plugin", "rate_limit", of_nobody])
        .output()
        .unwrap();
    assert!(text(&output).contains("edge.json:2: error: rate-limit: $.limits: "));
    assert_eq!(output.status.code(), Some(1));
}

#[test]
fn text_that_is_no_json_has_the_line_of_the_mistake() {
    let mut child = validate(&["--plugin", "rate_limit", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut input = child.stdin.take().unwrap();
    input
        .write_all(b"{\n  \"limits\": [\n    1 2\n  ]\n}")
        .unwrap();
    drop(input);
    let output = child.wait_with_output().unwrap();
    assert!(
        text(&output).starts_with("-:3: error: rate-limit: $: not valid JSON: "),
        "{}",
        text(&output)
    );
}

#[test]
fn what_users_copy_has_neither_errors_nor_warnings() {
    let mut arguments = vec!["--strict".to_owned()];
    for folder in [
        "envoy/examples",
        "envoy/istio",
        "envoy/gateway",
        "envoy/control-plane",
    ] {
        for entry in fs::read_dir(repository().join(folder)).unwrap() {
            arguments.push(entry.unwrap().path().display().to_string());
        }
    }
    for entry in fs::read_dir(repository().join("plugins")).unwrap() {
        let example = entry.unwrap().path().join("example.json");
        if example.exists() {
            arguments.push(example.display().to_string());
        }
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let output = validate(&arguments).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
}

#[test]
fn the_readme_shows_what_is_said() {
    let manual = fs::read_to_string(repository().join("README.md")).unwrap();
    let (_, rest) = manual.split_once("```yaml\n").unwrap();
    let (bootstrap, rest) = rest.split_once("```").unwrap();
    let bootstrap = bootstrap.replace(
        r#"{"name": "edge", "preset": "helmet"}"#,
        r#"{"cros_site": {}, "rules": [{"name": "a", "match": {"path": {"regex": "/a(b/c"}}}]}"#,
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("edge.yaml"), bootstrap).unwrap();
    let output = validate(&["edge.yaml"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let found = text(&output);
    let shown: Vec<_> = rest
        .lines()
        .filter(|line| line.starts_with("edge.yaml:"))
        .collect();
    assert_eq!(shown.len(), 2);
    for line in shown {
        let start = line.trim_end_matches('…');
        assert!(found.contains(start), "{start}\nis not in\n{found}");
    }
}

#[test]
fn a_schema_is_printed() {
    let output = validate(&["--plugin", "jwt-auth", "--schema"])
        .output()
        .unwrap();
    let schema = fs::read_to_string(repository().join("plugins/jwt-auth/schema.json")).unwrap();
    assert_eq!(text(&output), schema);
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn wrong_arguments_have_a_status_of_their_own() {
    for arguments in [
        &[][..],
        &["--schema"],
        &["--plugin"],
        &["--plugin", "waf", "envoy.yaml"],
        &["--frobnicate", "envoy.yaml"],
    ] {
        let output = validate(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(output.stdout.is_empty());
    }
    let output = validate(&["no-such-file.yaml"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        validate(&["--help"]).output().unwrap().status.code(),
        Some(0)
    );
}
