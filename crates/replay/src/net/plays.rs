//! Plays that go on at once.

use tokio::task::{JoinError, JoinSet};

/// Plays that go on at once, each a task.
#[derive(Default)]
pub(crate) struct Plays(JoinSet<()>);

impl Plays {
    /// Another one.
    pub(crate) fn spawn(&mut self, play: impl Future<Output = ()> + 'static) {
        while let Some(over) = self.0.try_join_next() {
            hand_on(over);
        }
        self.0.spawn_local(play);
    }

    /// Waits until all are over.
    pub(crate) async fn finish(mut self) {
        while let Some(over) = self.0.join_next().await {
            hand_on(over);
        }
    }
}

/// A play that panics is an error of this program, which nobody is to overlook.
fn hand_on(over: Result<(), JoinError>) {
    if let Err(error) = over
        && let Ok(panic) = error.try_into_panic()
    {
        std::panic::resume_unwind(panic);
    }
}
