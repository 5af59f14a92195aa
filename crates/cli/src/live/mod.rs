//! A run over the packets of an interface.

mod figures;
mod metrics;
pub(crate) mod privileges;
mod ring;
mod together;
mod watch;

use crate::config::{self, Config};
use crate::run::{Dropped, Origin, Progressed, Run};
use crate::workers::Prepared;
use anyhow::Context;
use capture::{Interface, Live, LiveConfig, LiveError, LiveStats, RecordConfig, Recorder};
use metrics::Exporter;
use privileges::Places;
use ring::Ring;
use std::path::Path;
use std::thread::scope;
use std::time::Instant;
use together::Together;
use watch::Watch;

impl<'a> Run<'a> {
    /// Captures until it is told to stop. `false` where the filter is wrong: then nothing was created.
    ///
    /// # Errors
    /// There is no such interface, or it may not be captured from; or output cannot be prepared.
    pub(crate) fn capture(
        &mut self,
        plan: &'a config::Live,
        inputs: &mut Vec<(Origin<'a>, Progressed)>,
    ) -> anyhow::Result<bool> {
        let name = Interface::name_of(&plan.interface)?;
        let config = LiveConfig {
            interface: name.clone(),
            snap_length: plan.snap_length,
            buffer_size: plan.buffer_size,
            promiscuous: plan.promiscuous,
            filter: self.config.filter.clone(),
        };
        let lives = match Live::open_rings(&config, plan.rings) {
            Err(error @ LiveError::Filter { .. }) => {
                self.notes.problem(error);
                return Ok(false);
            }
            opened => opened?,
        };
        let listener = plan.metrics.map(metrics::listen).transpose()?;
        // The time zone is looked up while it can be.
        self.note_time_zone();
        let prepared = Prepared::new(self.config);
        privileges::give_up(&plan.privileges, &places(self.config, plan))?;
        let mut ways_in = prepared.start(lives.len(), false)?;
        let recorder =
            plan.record.as_ref().map(|record| self.recorder(record, plan, &config, &lives));
        let together = Together::new(plan, self.config, self.stop.clone(), recorder.transpose()?);
        let mut rings: Vec<Ring<'a>> =
            lives.into_iter().map(|live| Ring::new(live, plan)).collect();
        for (number, ring) in rings.iter_mut().enumerate().filter(|_| plan.rings > 1) {
            ring.origin.number = number + 1;
            ring.origin.name = format!("{name}, ring {}", number + 1).into();
        }
        let exporter = listener.map(Exporter::start).transpose()?;
        self.notes.detail(|| format!("capturing on {name}"));
        self.follow_all(&mut rings, &mut ways_in, &together, exporter.as_ref());
        drop(exporter);
        self.end(&name, rings, together, inputs);
        Ok(true)
    }

    fn recorder(
        &self,
        record: &config::Record,
        plan: &config::Live,
        config: &LiveConfig,
        lives: &[Live],
    ) -> anyhow::Result<Recorder> {
        let link = lives.first().map(Live::link).context("there is a ring")?;
        let config = RecordConfig {
            path: record.path.clone(),
            rotation: record.rotation,
            utc: self.config.output.utc,
            link,
            snap_length: config.snap_length,
            interface: config.interface.clone(),
            filter: config.filter.clone(),
        };
        let (stop, begun, duration) = (self.stop.clone(), Instant::now(), plan.duration);
        let gives_up =
            move || stop.is_wanted() || duration.is_some_and(|most| begun.elapsed() >= most);
        Ok(Recorder::create(&config, gives_up)?)
    }

    /// Each ring has a thread that reads it; the first is this one, which also looks at the time.
    fn follow_all(
        &mut self,
        rings: &mut [Ring<'a>],
        ways_in: &mut Vec<crate::workers::Workers>,
        together: &Together<'_>,
        exporter: Option<&Exporter>,
    ) {
        let of = rings.len();
        let Some((first, others)) = rings.split_first_mut() else { return };
        let beside = ways_in.split_off(1.min(ways_in.len()));
        self.workers = ways_in.pop();
        self.share_intake(0, of);
        scope(|threads| {
            let mut beside: Vec<_> = others
                .iter_mut()
                .zip(beside)
                .enumerate()
                .map(|(i, (ring, workers))| {
                    let mut run = self.beside(workers, i + 1, of);
                    threads.spawn(move || {
                        // Why workers halt is said at the end.
                        let _ = run.follow(ring, together, None);
                        run
                    })
                })
                .collect();
            let mut watch = Watch::new(together, exporter);
            let _ = self.follow(first, together, Some(&mut watch));
            for thread in beside.drain(..) {
                match thread.join() {
                    Ok(run) => self.join(run),
                    Err(panic) => std::panic::resume_unwind(panic),
                }
            }
        });
    }

    /// What became of the capture.
    fn end(
        &mut self,
        name: &str,
        rings: Vec<Ring<'a>>,
        together: Together<'_>,
        inputs: &mut Vec<(Origin<'a>, Progressed)>,
    ) {
        let mut sum = LiveStats::default();
        for Ring { mut live, origin, mut became, .. } in rings {
            let stats = live.stats();
            sum.add_ring(&stats);
            if let Some(lost) = lost(&stats) {
                became.problem.get_or_insert(lost);
            }
            became.dropped = Some(Dropped {
                by_kernel: stats.dropped,
                by_interface: stats.dropped_by_interface,
            });
            inputs.push((origin, became));
        }
        if let Some(lost) = lost(&sum) {
            self.notes.problem(format_args!("{name}: {lost}"));
        }
        // Connections are written before.
        self.recording = together.into_recorder().map(|recorder| (recorder, sum));
    }
}

/// What is said where packets were lost.
fn lost(stats: &LiveStats) -> Option<String> {
    let lost = stats.dropped + stats.dropped_by_interface > 0;
    lost.then(|| {
        format!(
            "{} packets were lost because they came faster than they were read, {} by the interface: give a \
             larger --buffer-size, or a filter",
            stats.dropped, stats.dropped_by_interface
        )
    })
}

/// Where files go. (Recorded ones that follow one another are made later, where the user must be allowed to.)
fn places<'a>(config: &'a Config, plan: &'a config::Live) -> Places<'a> {
    let summary = config.summary_json.as_deref().filter(|path| *path != Path::new("-"));
    let recording = plan.record.as_ref().filter(|record| !record.rotation.is_wanted());
    let files = summary.into_iter().chain(recording.map(|record| &*record.path)).collect();
    Places { dir: config.output.writes_files().then_some(&config.output.dir), files }
}
