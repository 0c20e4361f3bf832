//! Several trainings whose steps are taken together, as one batched program.

use std::{
    ops::ControlFlow,
    sync::atomic::AtomicBool,
    time::{Duration, Instant},
};

use burn::tensor::Tensor;

use super::{Event, Pause, Status, Steps, Trainer};
use crate::{network::Model, record::Run, train::batched::Together};

/// Trainings that take an epoch each when they are told to, those of plain networks of one shape
/// [together](crate::experiment::Experiment::vectorise): what each comes to is what it comes to by itself, to rounding.
///
/// Steps that are watched, and all measuring, are each training's own. A training of another shape, or the only one,
/// trains as [`Trainer::epoch`] does, to the bit.
pub struct Group<'a> {
    /// With the numbers by which the caller knows them, in that order.
    trainers: Vec<(usize, Trainer<'a, Model>)>,
}

/// A training among its steps.
struct Member<'a> {
    training: usize,
    trainer: Trainer<'a, Model>,
    steps: Steps,
}

impl<'a> Group<'a> {
    /// Trainings with the numbers by which the caller knows them: on the same data, with batches of one size, as many
    /// steps, and the same rule of their optimizer but for its rate.
    pub fn new(mut trainers: Vec<(usize, Trainer<'a, Model>)>) -> Self {
        trainers.sort_by_key(|(training, _)| *training);
        Self { trainers }
    }

    /// Whether all of them have ended.
    pub fn is_empty(&self) -> bool {
        self.trainers.is_empty()
    }

    /// Turns that are still to come, unless something ends a training before.
    pub fn epochs_left(&self) -> usize {
        self.trainers.iter().map(|(_, trainer)| trainer.epochs_left()).max().unwrap_or(0)
    }

    /// An epoch of every training, or of those that are behind the others. Gives those that have ended.
    pub fn epoch(&mut self, stop: &AtomicBool, observe: &dyn Fn(usize, Event)) -> Vec<(usize, Model, Run)> {
        // Who was stopped before an epoch was measured has taken its steps and is behind those that have measured it.
        let place = |trainer: &Trainer<Model>| (trainer.run.steps, trainer.run.epochs.len());
        let least = self.trainers.iter().map(|(_, trainer)| place(trainer)).min();
        let all = std::mem::take(&mut self.trainers);
        let (now, later): (Vec<_>, Vec<_>) = all.into_iter().partition(|(_, trainer)| Some(place(trainer)) == least);
        let mut turn = Turn { stop, observe, later, ended: Vec::new() };
        match <[_; 1]>::try_from(now) {
            Ok([(training, trainer)]) => {
                let flow = trainer.epoch(stop, &mut |event| observe(training, event));
                turn.sort(training, flow);
            }
            Err(now) => turn.together(now),
        }
        let Turn { later, ended, .. } = turn;
        *self = Self::new(later);
        ended
    }
}

/// Saving takes at most one in so many parts of the time.
const SHARE: u32 = 20;

/// An epoch of some trainings.
struct Turn<'a, 'b> {
    stop: &'b AtomicBool,
    observe: &'b dyn Fn(usize, Event),
    /// Those that have had theirs, or are ahead.
    later: Vec<(usize, Trainer<'a, Model>)>,
    ended: Vec<(usize, Model, Run)>,
}

impl<'a> Turn<'a, '_> {
    fn sort(&mut self, training: usize, flow: ControlFlow<(Model, Run), Trainer<'a, Model>>) {
        match flow {
            ControlFlow::Continue(trainer) => self.later.push((training, trainer)),
            ControlFlow::Break((network, run)) => self.ended.push((training, network, run)),
        }
    }

    /// What comes after the steps of a training.
    fn end(&mut self, training: usize, mut trainer: Trainer<'a, Model>, ended: Option<Status>) {
        trainer.begun = Instant::now();
        let flow = trainer.end(ended, self.stop, &mut |event| (self.observe)(training, event));
        self.sort(training, flow);
    }

    fn together(&mut self, trainers: Vec<(usize, Trainer<'a, Model>)>) {
        let mut members = Vec::new();
        for (training, trainer) in trainers {
            let (mut trainer, begun) = trainer.begin(self.stop, &mut |event| (self.observe)(training, event));
            trainer.stop_clock();
            match begun {
                Ok(steps) => members.push(Member { training, trainer, steps }),
                Err(ended) => self.end(training, trainer, Some(ended)),
            }
        }
        let (mut fleet, mut saved, mut saving) = (Fleet::default(), Instant::now(), Duration::ZERO);
        // All are at the same step, and each of their steps is watched where the others' are.
        while let Some(Member { trainer, steps, .. }) = members.first()
            && trainer.run.steps < steps.end
        {
            let started = Instant::now();
            let watched = trainer.watches(steps).1;
            let together = if watched { None } else { fleet.begin(&members) };
            let mut observed = Duration::ZERO;
            match together {
                Some(together) => fleet.step(together, &mut members),
                None => {
                    members = fleet.settle(members);
                    let alone = |Member { training, trainer, steps }| {
                        let (trainer, by) = trainer.step(&steps, &mut |event| (self.observe)(training, event));
                        observed += by;
                        Member { training, trainer, steps }
                    };
                    members = members.into_iter().map(alone).collect();
                }
            }
            // Who stops or saves does so with the others, so that they can go on together.
            let pauses = members.iter().map(|Member { trainer, steps, .. }| trainer.pause(steps, self.stop));
            let together = |one: Pause, other: Pause| Pause { save: one.save || other.save, ..one };
            let Some(mut pause) = pauses.reduce(together) else { break };
            // Many networks take long to be saved.
            pause.save &= pause.stopped || saved.elapsed() >= saving * SHARE;
            if pause.reads() {
                fleet.read(&mut members);
            }
            let diverged = |member: &Member| member.trainer.progress.losses.iter().any(|loss| !loss.is_finite());
            if pause.save || (pause.reads() && members.iter().any(diverged)) {
                members = fleet.settle(members);
            }
            let seconds = started.elapsed().saturating_sub(observed).as_secs_f64() / members.len() as f64;
            let judging = Instant::now();
            members = self.judge(members, pause, seconds);
            if pause.save {
                (saved, saving) = (Instant::now(), judging.elapsed());
            }
        }
        for Member { training, trainer, .. } in fleet.settle(members) {
            self.end(training, trainer, None);
        }
    }

    /// Counts the time of a step, and takes out who has ended by it.
    fn judge(&mut self, members: Vec<Member<'a>>, pause: Pause, seconds: f64) -> Vec<Member<'a>> {
        let mut left = Vec::with_capacity(members.len());
        for mut member in members {
            let Member { training, trainer, .. } = &mut member;
            trainer.progress.seconds += seconds;
            trainer.progress.wall_seconds += seconds;
            trainer.begun = Instant::now();
            let ended = trainer.judge(pause, &mut |event| (self.observe)(*training, event));
            trainer.stop_clock();
            match ended {
                None => left.push(member),
                ended => self.end(member.training, member.trainer, ended),
            }
        }
        left
    }
}

/// The networks of a group while its steps are taken together.
#[derive(Default)]
struct Fleet {
    /// `None` before the first such step, and after each that was not.
    together: Option<Together>,
    /// Steps taken so.
    steps: usize,
    /// Their losses on the device, `[networks]` each.
    unread: Vec<Tensor<1>>,
}

impl Fleet {
    /// All networks as one, if they are of one shape and there is more than one.
    fn begin(&mut self, members: &[Member]) -> Option<Together> {
        if members.len() < 2 {
            return None;
        }
        self.together.take().or_else(|| {
            let learners: Vec<_> = members.iter().map(|member| &member.trainer.learner).collect();
            Together::of(&learners, members.iter().map(|member| member.steps.order.clone()).collect())
        })
    }

    fn step(&mut self, together: Together, members: &mut [Member]) {
        let Some(Member { trainer, steps, .. }) = members.first() else { return };
        let rates = members.iter().map(|member| member.trainer.learning_rate()).collect();
        let (together, losses) = together.step(&trainer.data.train, trainer.batch(steps), rates);
        self.together = Some(together);
        self.unread.push(losses);
        self.steps += 1;
        for Member { trainer, .. } in members {
            trainer.run.steps += 1;
            trainer.progress.steps += 1;
            trainer.progress.update = None;
        }
    }

    /// Reads losses back, each training's own before those that came together.
    fn read(&mut self, members: &mut [Member]) {
        members.iter_mut().for_each(|member| member.trainer.read());
        if self.unread.is_empty() {
            return;
        }
        let networks = members.len();
        let losses: Vec<f64> = Tensor::cat(std::mem::take(&mut self.unread), 0).into_data().iter().collect();
        for (place, Member { trainer, .. }) in members.iter_mut().enumerate() {
            trainer.progress.losses.extend(losses.iter().skip(place).step_by(networks));
        }
    }

    /// Gives every training its network, and what is remembered of it.
    fn settle<'a>(&mut self, mut members: Vec<Member<'a>>) -> Vec<Member<'a>> {
        self.read(&mut members);
        let Some(together) = self.together.take() else { return members };
        let steps = std::mem::take(&mut self.steps);
        let give = |(place, Member { training, trainer, steps: of }): (usize, Member<'a>)| {
            let learner = together.give(trainer.learner, place, steps);
            Member { training, trainer: Trainer { learner, ..trainer }, steps: of }
        };
        members.into_iter().enumerate().map(give).collect()
    }
}
