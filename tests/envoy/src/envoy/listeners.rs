//! Replaces listeners while Envoy runs, like a control plane.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use super::{Builder, Envoy, wait_for};
use crate::bootstrap::Environment;
use crate::stats::Stats;

/// A file that Envoy watches. It is alone in its directory, because Envoy reads it again whenever a file is moved there.
pub(super) struct ListenersFile(PathBuf);

impl ListenersFile {
    pub(super) fn new(directory: &Path) -> Self {
        let watched = directory.join("listeners");
        fs::create_dir(&watched).expect("a directory in the temporary one");
        Self(watched.join("lds.json"))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// Replaces the file's content. Returns the number of listeners that have changed.
    pub(super) fn write(&self, listeners: &[Value]) -> usize {
        let before: Option<Value> = self
            .text()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let is_new = |listener: &&Value| {
            let before = before
                .as_ref()
                .and_then(|before| before["resources"].as_array());
            !before.is_some_and(|before| before.contains(listener))
        };
        let changed = listeners.iter().filter(is_new).count();
        let listeners = json!({"resources": listeners});
        self.write_text(listeners.to_string().as_bytes());
        changed
    }

    fn text(&self) -> Option<Vec<u8>> {
        fs::read(&self.0).ok()
    }

    fn write_text(&self, text: &[u8]) {
        let watched = self.0.parent().expect("it is in a directory");
        let next = watched.with_extension("next");
        fs::write(&next, text).expect("a file in the temporary directory");
        fs::rename(&next, &self.0).expect("moving it within the temporary directory");
    }
}

impl Envoy {
    /// Replaces Envoy's listeners, with their filters and routes, by those of `builder`, and waits until every worker has
    /// them. All other settings of `builder` are ignored. Open connections stay with the old listeners for two seconds.
    /// Ports stay the same.
    ///
    /// # Errors
    /// If Envoy or a plugin refuses them. Envoy then keeps the old listeners.
    ///
    /// # Panics
    /// If this Envoy was not started with [`Builder::replaceable_listeners`].
    pub fn replace_listeners(&self, builder: &Builder) -> Result<(), RefusedListeners> {
        let file = self.listeners_file.as_ref();
        let file = file.expect("this Envoy was started with `replaceable_listeners()`");
        let environment = Environment {
            upstream: self.upstream.address(),
            refusing: self.refusing.address(),
            certificate: self.certificate.as_ref(),
            access_log: &self.access_log,
            listeners: Some(file.path()),
        };
        let count = |stats: &Stats, name: &str| stats.get(name).unwrap_or_default();
        // Workers add their first listeners after Envoy reports that it is ready.
        let workers = self.counter("server.concurrency");
        let stats = || self.stats_like("^listener_manager\\.");
        wait_for(|| match count(&stats(), TAKEN) {
            taken if taken >= workers * self.addresses.len() as u64 => Ok(()),
            taken => Err(format!("the first listeners: there are {taken}")),
        });
        let before = stats();
        let accepted = file.text().expect("it was written before Envoy started");
        let changed = file.write(&builder.bootstrap.discovered_listeners(&environment));
        let wanted = workers * changed as u64;
        wait_for(|| {
            let now = stats();
            let since = |name| count(&now, name) - count(&before, name);
            match (since(TAKEN), since(REFUSED)) {
                (taken, 0) if taken == wanted => Ok(Ok(())),
                (taken, 0) => Err(format!("{wanted} new listeners: there are {taken}")),
                _ => {
                    // Envoy keeps the old ones, and so does the file, because the next replacement is
                    // compared with it.
                    file.write_text(&accepted);
                    Ok(Err(RefusedListeners))
                }
            }
        })
    }
}

/// Envoy refused a replacement; its log has the reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RefusedListeners;

/// Number of listeners added on workers.
const TAKEN: &str = "listener_manager.listener_create_success";
/// Number of times that Envoy refused the file.
const REFUSED: &str = "listener_manager.lds.update_rejected";
