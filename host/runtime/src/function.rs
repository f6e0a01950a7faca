//! A registered function of a job, and what a call needs: arguments, options, the binding to argument types.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef};
use arrow::datatypes::DataType;

use crate::cancel::CancelToken;
use crate::job::JobInner;
use crate::{Error, ExecutionMode, Signature};

/// One argument of a call.
#[derive(Debug, Clone)]
pub enum Argument {
    /// A column with one value for each row.
    Column(ArrayRef),
    /// One value for all rows: an array of length 1.
    Constant(ArrayRef),
}

impl Argument {
    /// The values.
    pub fn array(&self) -> &ArrayRef {
        match self {
            Argument::Column(array) | Argument::Constant(array) => array,
        }
    }

    fn is_constant(&self) -> bool {
        matches!(self, Argument::Constant(_))
    }
}

impl From<ArrayRef> for Argument {
    fn from(array: ArrayRef) -> Self {
        Argument::Column(array)
    }
}

/// What happens when the user's code raises for a row, or its result is of the wrong type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum OnError {
    /// The call fails. The default.
    #[default]
    Fail,
    /// The row's result is NULL, and the row is counted.
    Null,
}

/// Options of a function.
#[derive(Debug, Clone, Default, PartialEq)]
#[non_exhaustive]
pub struct FunctionOptions {
    /// What happens when a row fails.
    pub on_error: OnError,
    /// The Arrow type of the result; `None`: the one that the function declares.
    pub result: Option<DataType>,
}

impl FunctionOptions {
    /// Sets what happens when a row fails.
    pub fn on_error(mut self, on_error: OnError) -> Self {
        self.on_error = on_error;
        self
    }

    /// Sets the Arrow type of the result.
    pub fn result(mut self, data_type: DataType) -> Self {
        self.result = Some(data_type);
        self
    }
}

/// Options of one call.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct CallOptions {
    /// Ends this call when it is cancelled. Default: none; [`Job::cancel`](crate::Job::cancel) ends all calls.
    pub cancel: Option<CancelToken>,
    /// Wall time of this call, where it is shorter than the job's. Default: the job's.
    pub deadline: Option<Duration>,
}

impl CallOptions {
    pub(crate) const NONE: &'static CallOptions = &CallOptions { cancel: None, deadline: None };

    /// Sets what cancels the call.
    pub fn cancel(mut self, token: CancelToken) -> Self {
        self.cancel = Some(token);
        self
    }

    /// Sets the wall time of the call; the job's deadline holds as well.
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// The outcome of a call.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Evaluation {
    /// One value for each row.
    pub column: ArrayRef,
    /// How many rows failed and were made NULL ([`OnError::Null`]).
    pub nulled: u64,
    /// The first of these failures.
    pub first_error: Option<Error>,
    /// The mode that ran.
    pub mode: ExecutionMode,
}

/// A function bound to argument types: what the harness calls by handle.
#[derive(Debug)]
pub(crate) struct Binding {
    /// Index of the binding in its job, and in every harness of the job.
    pub handle: i64,
    pub function: String,
    pub arguments: Vec<DataType>,
    pub constants: Vec<bool>,
    pub result: DataType,
    pub on_error: OnError,
}

impl Binding {
    /// Whether it is what `other` asks for: all but the handle, which is the job's to give.
    pub fn is_for(&self, other: &Binding) -> bool {
        let Binding { handle: _, function, arguments, constants, result, on_error } = self;
        *function == other.function
            && *arguments == other.arguments
            && *constants == other.constants
            && *result == other.result
            && *on_error == other.on_error
    }

    fn fits(&self, arguments: &[Argument]) -> bool {
        self.arguments.len() == arguments.len()
            && self.arguments.iter().zip(&self.constants).zip(arguments).all(|((data_type, constant), argument)| {
                *constant == argument.is_constant() && data_type == argument.array().data_type()
            })
    }
}

/// A registered function of a job. Cheap to clone, callable from any thread; calls run side by side up to the job's
/// parallelism.
#[derive(Clone, Debug)]
pub struct Function {
    job: Arc<JobInner>,
    signature: Arc<Signature>,
    options: FunctionOptions,
    /// Bindings made so far by this function; nearly always one, as columns rarely change their types.
    bindings: Arc<std::sync::RwLock<Vec<Arc<Binding>>>>,
}

impl Function {
    pub(crate) fn new(job: Arc<JobInner>, signature: Arc<Signature>, options: FunctionOptions) -> Self {
        Function { job, signature, options, bindings: Arc::default() }
    }

    /// What the function declares.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The Arrow type of the result.
    ///
    /// # Errors
    /// [`Error::Call`] when neither the function nor the options declare it.
    pub fn result_type(&self) -> Result<&DataType, Error> {
        self.options.result.as_ref().or(self.signature.result.as_ref()).ok_or_else(|| {
            let name = &self.signature.name;
            Error::Call(format!(
                "function '{name}' declares no result type: annotate it (`def {name}(…) -> int:`) or decorate it \
                 (`@udf(result_type=\"BIGINT\")`)"
            ))
        })
    }

    /// Calls the function for `rows` rows with columns of that length, and gives one value for each row.
    ///
    /// # Errors
    /// Every variant of [`Error`]; the function and its job can be used again after any of them.
    pub fn call(&self, columns: &[ArrayRef], rows: usize) -> Result<ArrayRef, Error> {
        let arguments: Vec<Argument> = columns.iter().cloned().map(Argument::Column).collect();
        self.evaluate(&arguments, rows).map(|evaluation| evaluation.column)
    }

    /// As [`Self::call`], with constant arguments, and with the count of rows that failed.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn evaluate(&self, arguments: &[Argument], rows: usize) -> Result<Evaluation, Error> {
        self.evaluate_with(arguments, rows, &CallOptions::default())
    }

    /// As [`Self::evaluate`], with options of this call.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub fn evaluate_with(
        &self,
        arguments: &[Argument],
        rows: usize,
        options: &CallOptions,
    ) -> Result<Evaluation, Error> {
        self.check_lengths(arguments, rows)?;
        let binding = self.binding(arguments, options)?;
        self.job.evaluate(&binding, arguments, rows, options)
    }

    /// As [`Self::evaluate`], on a thread of the runtime's own, for asynchronous callers: the future can be awaited in
    /// any executor. Dropping it does not stop the call: a [`CancelToken`] does.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn evaluate_async(&self, arguments: Vec<Argument>, rows: usize) -> Result<Evaluation, Error> {
        self.evaluate_async_with(arguments, rows, CallOptions::default()).await
    }

    /// As [`Self::evaluate_async`], with options of this call.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub async fn evaluate_async_with(
        &self,
        arguments: Vec<Argument>,
        rows: usize,
        options: CallOptions,
    ) -> Result<Evaluation, Error> {
        let function = self.clone();
        crate::threads::spawn(move || function.evaluate_with(&arguments, rows, &options)).await
    }

    fn check_lengths(&self, arguments: &[Argument], rows: usize) -> Result<(), Error> {
        if rows > i32::MAX as usize {
            return Err(Error::Call(format!("{rows} rows are too many for one call; the most is {}", i32::MAX)));
        }
        for (position, argument) in arguments.iter().enumerate() {
            let (length, wanted) = (argument.array().len(), if argument.is_constant() { 1 } else { rows });
            if length != wanted {
                return Err(Error::Call(format!(
                    "function '{}', argument {}: {length} values given for {wanted}",
                    self.signature.name,
                    position + 1
                )));
            }
        }
        Ok(())
    }

    fn binding(&self, arguments: &[Argument], options: &CallOptions) -> Result<Arc<Binding>, Error> {
        let poisoned = std::sync::PoisonError::into_inner;
        if let Some(binding) = self.bindings.read().unwrap_or_else(poisoned).iter().find(|b| b.fits(arguments)) {
            return Ok(binding.clone());
        }
        let types: Vec<&DataType> = arguments.iter().map(|argument| argument.array().data_type()).collect();
        self.signature.check(&types)?;
        let binding = Binding {
            handle: 0,
            function: self.signature.name.clone(),
            arguments: types.into_iter().cloned().collect(),
            constants: arguments.iter().map(Argument::is_constant).collect(),
            result: self.result_type()?.clone(),
            on_error: self.options.on_error,
        };
        let binding = self.job.bind(binding, options)?;
        self.bindings.write().unwrap_or_else(|error| error.into_inner()).push(binding.clone());
        Ok(binding)
    }
}
