//! Names that nothing in a model bears yet.

use std::collections::{HashMap, HashSet};

use super::proto::GraphProto;
use super::subgraphs::bodies;

/// Every name of a graph and of the graphs inside it, values and nodes alike: a new outer value must not be hidden by an inner
/// one.
#[derive(Debug)]
pub struct Names {
    taken: HashSet<String>,
    /// Of each wish that was taken the number to come.
    next: HashMap<String, u64>,
    first: u64,
    /// How many short names were tried.
    tried: u64,
    /// Short names of constants, by what they hold.
    constants: HashMap<String, String>,
    /// Whether names that nobody looks for are short.
    brief: bool,
}

impl Names {
    /// The names of `graph`. Where a wish is taken, numbers from `first` on tell the new name apart.
    pub fn of(graph: &GraphProto, first: u64) -> Self {
        let mut names = Self {
            taken: HashSet::new(),
            next: HashMap::new(),
            first,
            tried: 0,
            constants: HashMap::new(),
            brief: false,
        };
        names.collect(graph);
        names
    }

    fn collect(&mut self, graph: &GraphProto) {
        let values = graph.input.iter().chain(&graph.output).chain(&graph.value_info);
        self.taken.extend(values.map(|value| value.name().to_owned()));
        let sparse = graph.sparse_initializer.iter().filter_map(|tensor| tensor.values.as_ref());
        self.taken.extend(graph.initializer.iter().chain(sparse).map(|tensor| tensor.name().to_owned()));
        for node in &graph.node {
            self.taken.insert(node.name().to_owned());
            self.taken.extend(node.input.iter().chain(&node.output).cloned());
            bodies(node).for_each(|body| self.collect(body));
        }
    }

    /// The same, with short names for what nobody looks for.
    #[must_use]
    pub fn brief(self, brief: bool) -> Self {
        Self { brief, ..self }
    }

    /// A name for what nobody looks for: like `wish`, or short.
    pub fn internal(&mut self, wish: impl AsRef<str>) -> String {
        if self.brief { self.short() } else { self.fresh(wish) }
    }

    /// The same of a constant that is told apart by `content`, and whether it has to be made: where names are short, equal
    /// constants are one.
    pub fn internal_constant(&mut self, wish: impl AsRef<str>, content: &str) -> (String, bool) {
        if self.brief { self.constant(content) } else { (self.fresh(wish), true) }
    }

    /// The shortest name that is free, for values that nobody looks for.
    pub fn short(&mut self) -> String {
        loop {
            let mut name = String::from("_");
            let mut rest = self.tried;
            loop {
                name.push(char::from(b"0123456789abcdefghijklmnopqrstuvwxyz"[(rest % 36) as usize]));
                rest /= 36;
                if rest == 0 {
                    break;
                }
            }
            self.tried += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }

    /// The short name of a constant that is told apart by `content`, and whether this is the first time that it is asked for.
    pub fn constant(&mut self, content: &str) -> (String, bool) {
        if let Some(name) = self.constants.get(content) {
            return (name.clone(), false);
        }
        let name = self.short();
        self.constants.insert(content.to_owned(), name.clone());
        (name, true)
    }

    /// `wish`, or `wish_1`, `wish_2` ... from the first number on where that is taken: the same model gives the same names.
    pub fn fresh(&mut self, wish: impl AsRef<str>) -> String {
        let wish = wish.as_ref();
        if self.taken.insert(wish.to_owned()) {
            return wish.to_owned();
        }
        let next = self.next.entry(wish.to_owned()).or_insert(self.first);
        loop {
            let name = format!("{wish}_{next}");
            *next += 1;
            if self.taken.insert(name.clone()) {
                return name;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::onnx::build::GraphBuilder;

    #[test]
    fn fresh_names_are_new_and_repeatable() {
        let mut graph = GraphBuilder::new(21);
        let x = graph.input("x", &[1]);
        let y = graph.node("Relu", &[&x], &[]);
        graph.output(&y);
        let mut names = Names::of(graph.model().graph(), 2);
        assert_eq!(names.fresh("x"), "x_2");
        assert_eq!(names.fresh("x"), "x_3");
        assert_eq!(names.fresh("w"), "w");
    }

    #[test]
    fn equal_wishes_are_counted_on() {
        let mut names = Names::of(&GraphProto::default(), 2);
        names.fresh("x_3");
        let made: Vec<String> = (0..4).map(|_| names.fresh("x")).collect();
        assert_eq!(made, ["x", "x_2", "x_4", "x_5"]);
        for _ in 6..=200_000 {
            names.fresh("x");
        }
        assert_eq!((names.fresh("x"), names.fresh("x_2")), ("x_200001".into(), "x_2_2".into()));
    }

    #[test]
    fn short_names_are_new_and_constants_have_one() {
        let mut names = Names::of(&GraphProto::default(), 1);
        names.fresh("_1");
        let made: Vec<String> = (0..37).map(|_| names.short()).collect();
        assert_eq!((&*made[0], &*made[1], &*made[34], &*made[35]), ("_0", "_2", "_z", "_01"));
        let sixteen = names.constant("16");
        assert_eq!((names.constant("16"), names.constant("8").1), ((sixteen.0, false), true));
    }

    #[test]
    fn the_first_number_is_the_callers() {
        let mut names = Names::of(&GraphProto::default(), 1);
        names.fresh("x_2");
        let made: Vec<String> = (0..4).map(|_| names.fresh("x")).collect();
        assert_eq!(made, ["x", "x_1", "x_3", "x_4"]);
    }
}
