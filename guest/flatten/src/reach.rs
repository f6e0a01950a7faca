//! Which functions, tables and globals the exports can reach, and which functions only forward to others.
//!
//! Owns the decision what is left out. Refuses code that would change a table or read a segment at run time, since
//! everything here rests on tables that nobody changes.

use std::collections::BTreeSet;

use wasmparser::{Operator, OperatorsReader};

use crate::error::Error;
use crate::link::{FunctionKind, Program, at};

/// What has to be written out.
pub(crate) struct Reached {
    /// For every function the one that is called in its place: itself, unless it only forwards.
    pub forward: Vec<usize>,
    /// For every function whether it is reachable.
    pub live: Vec<bool>,
    /// The tables that reachable code calls through.
    pub tables: BTreeSet<usize>,
    /// The globals that reachable code writes.
    pub written: BTreeSet<usize>,
    /// The allocator named by the lowerings of reachable host functions.
    pub host_realloc: Option<usize>,
    /// How many functions only forward.
    pub forwarded: usize,
}

/// Starts at `exports` and follows calls, tables and the allocators of host functions; `allocator` is the name of the
/// one to prefer.
pub(crate) fn reach(program: &Program<'_>, exports: &[(String, usize)], allocator: &str) -> Result<Reached, Error> {
    let (forward, forwarded) = forwards(program)?;
    let mut reached = Reached {
        live: vec![false; forward.len()],
        forward,
        tables: BTreeSet::new(),
        written: BTreeSet::new(),
        host_realloc: None,
        forwarded,
    };
    let mut work: Vec<usize> = exports.iter().map(|(_, function)| *function).collect();
    let mut reallocs = BTreeSet::new();
    while let Some(function) = work.pop() {
        let function = *at(&reached.forward, function, "function")?;
        if std::mem::replace(reached.live.get_mut(function).ok_or_else(|| Error::index("function", function))?, true) {
            continue;
        }
        match &at(&program.functions, function, "function")?.kind {
            FunctionKind::Host { realloc, .. } => {
                if let Some(realloc) = realloc {
                    let realloc = *at(&reached.forward, *realloc, "function")?;
                    reallocs.insert(realloc);
                    work.push(realloc);
                }
            }
            FunctionKind::Body { instance, body } => {
                scan(program, *instance, body.get_operators_reader()?, &mut reached, &mut work)?;
            }
        }
    }
    reached.host_realloc = host_realloc(program, &reallocs, allocator)?;
    Ok(reached)
}

/// The one function that host functions allocate with.
///
/// Libraries that are linked together share one heap, whoever allocates; so where lowerings name the allocators of
/// several libraries, the one called `allocator` serves all of them.
fn host_realloc(program: &Program<'_>, named: &BTreeSet<usize>, allocator: &str) -> Result<Option<usize>, Error> {
    let name = |index: &usize| program.functions.get(*index).map_or("", |function| function.name.as_str());
    let mut chosen = named.iter().filter(|index| named.len() == 1 || name(index) == allocator);
    match (chosen.next(), chosen.next()) {
        (None, _) if named.is_empty() => Ok(None),
        (Some(index), None) => Ok(Some(*index)),
        _ => Err(Error::unsupported(format!(
            "imports that allocate with different functions, not one of them {allocator}: {}",
            named.iter().map(name).collect::<Vec<_>>().join(", ")
        ))),
    }
}

/// Notes what one body uses.
fn scan(
    program: &Program<'_>,
    instance: usize,
    operators: OperatorsReader<'_>,
    reached: &mut Reached,
    work: &mut Vec<usize>,
) -> Result<(), Error> {
    let instance = at(&program.instances, instance, "instance")?;
    for operator in operators {
        match operator? {
            Operator::Call { function_index } | Operator::ReturnCall { function_index } => {
                work.push(*at(&instance.functions, function_index, "function")?);
            }
            Operator::CallIndirect { table_index, .. } | Operator::ReturnCallIndirect { table_index, .. } => {
                let table = *at(&instance.tables, table_index, "table")?;
                if reached.tables.insert(table) {
                    work.extend(at(&program.tables, table, "table")?.slots.iter().flatten());
                }
            }
            Operator::GlobalSet { global_index } => {
                reached.written.insert(*at(&instance.globals, global_index, "global")?);
            }
            operator @ (Operator::TableGet { .. }
            | Operator::TableSet { .. }
            | Operator::TableSize { .. }
            | Operator::TableGrow { .. }
            | Operator::TableFill { .. }
            | Operator::TableCopy { .. }
            | Operator::TableInit { .. }
            | Operator::ElemDrop { .. }
            | Operator::MemoryInit { .. }
            | Operator::DataDrop { .. }
            | Operator::RefFunc { .. }) => {
                return Err(Error::unsupported(format!("the instruction {operator:?}")));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Resolves functions that are replaced, and functions that only pass their parameters on, through however many of
/// them there are.
fn forwards(program: &Program<'_>) -> Result<(Vec<usize>, usize), Error> {
    let next = |index| program.replaced.get(&index).copied().or_else(|| trampoline(program, index));
    let direct: Vec<Option<usize>> = (0..program.functions.len()).map(next).collect();
    let mut forward = Vec::with_capacity(direct.len());
    for index in 0..direct.len() {
        let mut target = index;
        let mut steps = 0_usize;
        while let Some(next) = direct.get(target).copied().flatten() {
            target = next;
            steps += 1;
            if steps > direct.len() {
                return Err(Error::unsupported("functions that only call each other in a circle"));
            }
        }
        forward.push(target);
    }
    Ok((forward, direct.iter().flatten().count().saturating_sub(program.replaced.len())))
}

/// The function that `index` calls if all it does is `local.get 0..n; i32.const slot; call_indirect`.
///
/// The component linker makes one for each function that one shared library calls in another. The slot may be read
/// here because [`scan`] refuses code that changes a table.
fn trampoline(program: &Program<'_>, index: usize) -> Option<usize> {
    let function = program.functions.get(index)?;
    let FunctionKind::Body { instance, body } = &function.kind else {
        return None;
    };
    let ty = function.ty.as_ref()?;
    let instance = program.instances.get(*instance)?;
    let mut operators = body.get_operators_reader().ok()?;
    for (local, _) in ty.params().iter().enumerate() {
        match operators.read().ok()? {
            Operator::LocalGet { local_index } if local_index as usize == local => {}
            _ => return None,
        }
    }
    let Operator::I32Const { value: slot } = operators.read().ok()? else {
        return None;
    };
    let Operator::CallIndirect { type_index, table_index } = operators.read().ok()? else {
        return None;
    };
    if !matches!(operators.read().ok()?, Operator::End) || !operators.eof() {
        return None;
    }
    let table = program.tables.get(*instance.tables.get(table_index as usize)?)?;
    let target = (*table.slots.get(usize::try_from(slot).ok()?)?)?;
    let called = instance.types.get(type_index as usize)?;
    let target_ty = program.functions.get(target)?.ty.as_ref()?;
    (called == ty && called == target_ty).then_some(target)
}
