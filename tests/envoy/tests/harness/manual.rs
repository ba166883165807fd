//! Runs the commands of README.md as written.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};

use portcullis_envoy_tests::artifacts;
use portcullis_envoy_tests::client::Client;
use portcullis_envoy_tests::message::Request;
use portcullis_envoy_tests::patience::wait_for;
use portcullis_envoy_tests::upstream::{Reply, Upstream};

/// A process that ends with its test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended on its own.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_readme_s_configuration_answers_as_it_says_and_counts_what_it_says() {
    let manual = fs::read_to_string(artifacts::repository().join("README.md")).unwrap();
    let (_, rest) = manual
        .split_once("```yaml\nstatic_resources:")
        .expect("a bootstrap");
    let (shown, rest) = rest.split_once("```").expect("its end");
    let statistic = rest
        .split('`')
        .find(|word| word.starts_with("portcullis_security_headers_responses{"))
        .expect("a statistic");
    let (name, labels) = statistic.split_once('{').expect("labels");
    let upstream = Upstream::start(|_| Reply::new(200));
    let [edge, admin] = free_addresses();
    let yaml = format!("static_resources:{shown}")
        .replace("port_value: 8080", &format!("port_value: {}", edge.port()))
        .replace("port_value: 9901", &format!("port_value: {}", admin.port()))
        .replace(
            "port_value: 3000",
            &format!("port_value: {}", upstream.address().port()),
        );
    let tags = fs::read_to_string(artifacts::repository().join("envoy/stats_tags.yaml")).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let configuration = directory.path().join("edge.yaml");
    fs::write(&configuration, yaml).unwrap();

    let mut command = Command::new(artifacts::envoy());
    command
        .current_dir(artifacts::repository())
        .arg("-c")
        .arg(&configuration)
        .arg("--config-yaml")
        .arg(tags)
        .args([
            "--concurrency",
            "1",
            "--disable-hot-restart",
            "--log-level",
            "critical",
        ])
        .stderr(Stdio::null());
    let _envoy = Running(command.spawn().unwrap());
    let response = wait_for(|| {
        let response = Client::http1(edge).try_send(&Request::get("/"));
        response.map_err(|error| format!("Envoy to serve: {error}"))
    });
    let found = Client::http1(admin).send(&Request::get("/stats/prometheus"));

    assert_eq!(response.status, 200);
    assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
    let text = String::from_utf8(found.body.to_vec()).unwrap();
    let labels: Vec<&str> = labels.trim_end_matches('}').split(',').collect();
    let is_there = text
        .lines()
        .any(|line| line.starts_with(name) && labels.iter().all(|label| line.contains(label)));
    assert!(is_there, "{statistic} is not in\n{text}");
}

fn free_addresses<const N: usize>() -> [SocketAddr; N] {
    let listeners =
        [(); N].map(|()| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port"));
    listeners.map(|listener| listener.local_addr().expect("its address"))
}
