//! Parts of a batch for several machines.

use std::cmp::Reverse;
use std::fmt;
use std::str::FromStr;

use crate::error::{Error, Result};

/// How many shards there are, where the system that starts them does not say, as Kubernetes does not, or may say something
/// else, as Slurm does of the tasks that are submitted again.
const COUNT: &str = "FOURBIT_SHARDS";

/// One of several equal parts of the work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shard {
    /// Which, from 0.
    index: usize,
    /// Of how many.
    count: usize,
}

impl Shard {
    /// Everything.
    pub const WHOLE: Self = Self { index: 0, count: 1 };

    /// Shard `index`, from 0, of `count`.
    ///
    /// # Errors
    /// [`Error::Options`] where there is no such shard.
    pub fn new(index: usize, count: usize) -> Result<Self> {
        match index < count {
            true => Ok(Self { index, count }),
            false => Err(Error::options(
                format!("there is no shard {} of {count}", index.saturating_add(1)),
                "choose I/N with I from 1 to N, as in 1/4",
            )),
        }
    }

    /// Whether it is all of the work.
    pub fn is_whole(self) -> bool {
        self.count == 1
    }

    /// Which, from 0, and of how many.
    pub fn place(self) -> (usize, usize) {
        (self.index, self.count)
    }

    /// The shard that a cluster has given to this process, if one has: a task of a Slurm array, a pod of an indexed
    /// Kubernetes job, a child of an AWS Batch array.
    ///
    /// # Errors
    /// [`Error::Options`] where the variables do not say which part this is.
    pub fn from_environment(variable: &dyn Fn(&str) -> Option<String>) -> Result<Option<Self>> {
        let number = |name: &str| {
            let parse = |text: String| {
                text.trim().parse::<usize>().map_err(|_| {
                    Error::options(
                        format!("the variable {name} is {text:?}, which is no number"),
                        "set it right, or give `.shard`",
                    )
                })
            };
            variable(name).map(parse).transpose()
        };
        let needed = |name: &str, beside: &str, remedy: &str| {
            number(name)?.ok_or_else(|| {
                Error::options(format!("{beside} is set, but {name} is not"), remedy.to_owned())
            })
        };
        if let Some(task) = number("SLURM_ARRAY_TASK_ID")? {
            let beside = "SLURM_ARRAY_TASK_ID";
            if let Some(count) = number(COUNT)? {
                return numbered(beside, task, count).map(Some);
            }
            let of = |name| needed(name, beside, "give `.shard` as I/N");
            let (least, most) = (of("SLURM_ARRAY_TASK_MIN")?, of("SLURM_ARRAY_TASK_MAX")?);
            let count = of("SLURM_ARRAY_TASK_COUNT")?;
            return slurm(task, least, most, count).map(Some);
        }
        if let Some(index) = number("AWS_BATCH_JOB_ARRAY_INDEX")? {
            if let Some(count) = number(COUNT)? {
                return numbered("AWS_BATCH_JOB_ARRAY_INDEX", index, count).map(Some);
            }
            let remedy = "give `.shard` as I/N";
            let count = needed("AWS_BATCH_JOB_ARRAY_SIZE", "AWS_BATCH_JOB_ARRAY_INDEX", remedy)?;
            return Self::new(index, count).map(Some);
        }
        if let Some(index) = number("JOB_COMPLETION_INDEX")? {
            let remedy = "set it to the job's completions, or give `.shard` as 1/1 to do everything here";
            let count = needed(COUNT, "JOB_COMPLETION_INDEX", remedy)?;
            return numbered("JOB_COMPLETION_INDEX", index, count).map(Some);
        }
        Ok(None)
    }

    /// Which of the models are this shard's: each model belongs to one shard, whichever asks, and the shards' bytes are
    /// about equal. Takes names, which are all different, and bytes.
    pub fn choose(self, models: &[(&str, u64)]) -> Vec<usize> {
        let mut order: Vec<usize> = (0..models.len()).collect();
        order.sort_by_key(|&at| (Reverse(models[at].1), models[at].0));
        // The largest first, each to the shard that has least so far, and of several with the fewest models.
        let mut loads = vec![(0u128, 0usize); self.count.min(models.len().max(1))];
        let mut chosen = Vec::new();
        for at in order {
            let least = (0..loads.len()).min_by_key(|&shard| (loads[shard], shard)).unwrap_or(0);
            if let Some((bytes, count)) = loads.get_mut(least) {
                (*bytes, *count) = (*bytes + u128::from(models[at].1), *count + 1);
            }
            if least == self.index {
                chosen.push(at);
            }
        }
        chosen.sort_unstable();
        chosen
    }
}

/// The shard of a task, which are numbered from 0, of a known number.
fn numbered(variable: &str, task: usize, count: usize) -> Result<Shard> {
    Shard::new(task, count).map_err(|_| {
        Error::options(
            format!("{variable} is {task}, and {COUNT} says that there are {count} shards"),
            "number the tasks from 0, and set FOURBIT_SHARDS to how many there are in all",
        )
    })
}

/// The place of a task in an array, which may begin anywhere and go in steps.
fn slurm(task: usize, least: usize, most: usize, count: usize) -> Result<Shard> {
    let unclear = || {
        Error::options(
            format!(
                "task {task} of a Slurm array from {least} to {most} with {count} tasks has no clear place"
            ),
            "number the tasks evenly, as in 0-9, or give `.shard` as I/N",
        )
    };
    // One task alone is more often one that is run again than all there ever were.
    if count == 1 && task != 0 {
        return Err(Error::options(
            format!(
                "task {task} is the only one of its Slurm array, so that it may be one of several, run again"
            ),
            "set FOURBIT_SHARDS to how many there are in all, or give `.shard` as I/N (1/1 for everything)",
        ));
    }
    let (span, place) = most.checked_sub(least).zip(task.checked_sub(least)).ok_or_else(unclear)?;
    let step = match count.checked_sub(1) {
        None => return Err(unclear()),
        Some(0) => 1,
        Some(steps) => span / steps,
    };
    if step == 0 || step.checked_mul(count - 1) != Some(span) || place > span || place % step != 0 {
        return Err(unclear());
    }
    Shard::new(place / step, count)
}

impl FromStr for Shard {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text.split_once('/').and_then(|(index, count)| {
            Some((index.parse::<usize>().ok()?.checked_sub(1)?, count.parse::<usize>().ok()?))
        });
        let remedy = "choose I/N with I from 1 to N, as in 1/4";
        let (index, count) = parts.ok_or_else(|| Error::options(format!("{text:?} is no shard"), remedy))?;
        Self::new(index, count)
    }
}

impl fmt::Display for Shard {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}/{}", self.index + 1, self.count)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn shards_are_disjoint_complete_balanced_and_do_not_depend_on_order(
            sizes in proptest::collection::vec(prop_oneof![0u64..9, 0u64..1 << 40], 0..60),
            count in 1usize..12,
            turn in 0usize..60,
        ) {
            let names: Vec<String> = (0..sizes.len()).map(|at| format!("m{at}")).collect();
            let models: Vec<(&str, u64)> =
                names.iter().map(String::as_str).zip(sizes.iter().copied()).collect();
            let mut turned = models.clone();
            turned.rotate_left(turn % models.len().max(1));
            let (mut seen, mut loads) = (vec![0; models.len()], Vec::new());
            for index in 0..count {
                let shard = Shard::new(index, count).unwrap();
                let chosen = shard.choose(&models);
                let mut named: Vec<&str> = chosen.iter().map(|&at| models[at].0).collect();
                let mut again: Vec<&str> = shard.choose(&turned).iter().map(|&at| turned[at].0).collect();
                named.sort_unstable();
                again.sort_unstable();
                prop_assert_eq!(named, again);
                chosen.iter().for_each(|&at| seen[at] += 1);
                loads.push(chosen.iter().map(|&at| u128::from(models[at].1)).sum::<u128>());
            }
            prop_assert!(seen.iter().all(|&times| times == 1));
            let (total, largest) = (loads.iter().sum::<u128>(), sizes.iter().max().copied().unwrap_or(0));
            let most = loads.iter().max().copied().unwrap_or(0);
            prop_assert!(most <= total / count as u128 + u128::from(largest) + 1);
        }

        #[test]
        fn texts_never_panic(text in ".{0,12}") {
            if let Ok(shard) = text.parse::<Shard>() {
                prop_assert_eq!(shard.to_string().parse::<Shard>().unwrap(), shard);
            }
        }
    }

    #[test]
    fn clusters_say_which_shard_this_is() {
        let read = |set: &[(&str, &str)]| {
            let found = Shard::from_environment(&|name| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            });
            found.map(|shard| shard.map(|shard| shard.to_string())).map_err(|error| error.to_string())
        };
        let array = |task, least, most, count| {
            read(&[
                ("SLURM_ARRAY_TASK_ID", task),
                ("SLURM_ARRAY_TASK_MIN", least),
                ("SLURM_ARRAY_TASK_MAX", most),
                ("SLURM_ARRAY_TASK_COUNT", count),
            ])
        };
        assert_eq!(read(&[]), Ok(None));
        assert_eq!(array("0", "0", "9", "10"), Ok(Some("1/10".into())));
        assert_eq!(array("7", "1", "10", "10"), Ok(Some("7/10".into())));
        assert_eq!(array("6", "2", "8", "4"), Ok(Some("3/4".into())));
        assert_eq!(array("0", "0", "0", "1"), Ok(Some("1/1".into())));
        for (task, least, most, count) in [
            ("3", "1", "7", "3"),
            ("0", "1", "3", "3"),
            ("1", "1", "1", "0"),
            ("9", "1", "3", "3"),
            ("2", "2", "2", "1"),
            ("1", "3", "1", "3"),
        ] {
            assert!(
                array(task, least, most, count).unwrap_err().contains("`.shard`"),
                "{task} {least} {most}"
            );
        }
        assert!(array("x", "0", "9", "10").unwrap_err().contains("SLURM_ARRAY_TASK_ID"));
        let aws = [("AWS_BATCH_JOB_ARRAY_INDEX", "2"), ("AWS_BATCH_JOB_ARRAY_SIZE", "3")];
        assert_eq!(read(&aws), Ok(Some("3/3".into())));
        assert_eq!(read(&[("JOB_COMPLETION_INDEX", "0"), ("FOURBIT_SHARDS", "5")]), Ok(Some("1/5".into())));
        assert!(read(&[("JOB_COMPLETION_INDEX", "0")]).unwrap_err().contains("FOURBIT_SHARDS"));
        assert!(
            read(&[("JOB_COMPLETION_INDEX", "5"), ("FOURBIT_SHARDS", "5")])
                .unwrap_err()
                .contains("FOURBIT_SHARDS")
        );
    }

    #[test]
    fn a_number_of_shards_goes_before_what_an_array_says() {
        let read = |index: &str, task: &str| {
            let found = Shard::from_environment(&|name| match name {
                "FOURBIT_SHARDS" => Some("4".to_owned()),
                // An array of those that are run again.
                "SLURM_ARRAY_TASK_COUNT" | "AWS_BATCH_JOB_ARRAY_SIZE" => Some("1".to_owned()),
                "SLURM_ARRAY_TASK_MIN" | "SLURM_ARRAY_TASK_MAX" => Some(task.to_owned()),
                name => (name == index).then(|| task.to_owned()),
            });
            found.map(|shard| shard.map(|shard| shard.to_string())).map_err(|error| error.to_string())
        };
        for index in ["SLURM_ARRAY_TASK_ID", "AWS_BATCH_JOB_ARRAY_INDEX", "JOB_COMPLETION_INDEX"] {
            assert_eq!(read(index, "2"), Ok(Some("3/4".into())), "{index}");
            let error = read(index, "4").unwrap_err();
            assert!(error.contains(index) && error.contains("FOURBIT_SHARDS"), "{error}");
        }
    }

    #[test]
    fn wrong_shards_are_refused() {
        for wrong in ["", "1", "0/4", "5/4", "1/0", "-1/4", "1/4/4", "a/b"] {
            assert!(wrong.parse::<Shard>().is_err(), "{wrong}");
        }
        assert!("1/1".parse::<Shard>().unwrap().is_whole());
    }
}
