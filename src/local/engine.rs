//! A model that runs: the ONNX graph and its tokenizer.

use rten::{Model, ModelOptions, NodeId, OpRegistry, RunOptions, Value, op_registry};
use rten_tensor::Layout;

use super::folder::Folder;
use super::nesting;
use super::pool::Pooling;
use super::tokenize::Tokens;
use super::workers::Pool;
use crate::base::hash::{Digest, Hasher};
use crate::base::words::bounded;

/// A model and its tokenizer.
pub struct Engine {
    /// Reads texts.
    pub tokens: Tokens,
    /// Numbers of an embedding.
    pub width: usize,
    /// A hash of the contents of both files.
    pub hash: Digest,
    model: Model,
    inputs: Vec<(NodeId, Input)>,
    output: NodeId,
}

/// What a model asks for.
#[derive(Clone, Copy)]
enum Input {
    Ids,
    Mask,
    Types,
    Positions,
}

impl Engine {
    /// Loads the model of `folder` and tries it.
    ///
    /// # Errors
    /// Files that hold none, or do not belong together. The text names the file.
    pub fn load(folder: &Folder) -> Result<Engine, String> {
        let tokenizer = folder.tokenizer()?;
        let tokens = Tokens::read(&tokenizer).map_err(|why| folder.bad_tokenizer(&why))?;
        let bytes = folder.model()?;
        let hash = Hasher::default().part(&bytes).part(&tokenizer).finish();
        let broken = |e: &dyn std::fmt::Display| folder.broken(&bounded(&e.to_string(), 200));
        nesting::check(&bytes).map_err(|why| broken(&why))?;
        let model =
            ModelOptions::with_ops(operators()).prepack_weights(true).load(bytes).map_err(|e| broken(&e))?;
        let mut inputs = Vec::new();
        for &id in model.input_ids() {
            let name = model.node_info(id).and_then(|node| node.name()).unwrap_or_default().to_owned();
            let input = match name.as_str() {
                "input_ids" => Input::Ids,
                "attention_mask" => Input::Mask,
                "token_type_ids" => Input::Types,
                "position_ids" => Input::Positions,
                other => {
                    return Err(broken(&format!("it has the input '{other}', which is not made of text")));
                }
            };
            inputs.push((id, input));
        }
        let named = |wanted: &str| {
            model
                .output_ids()
                .iter()
                .find(|&&id| model.node_info(id).and_then(|node| node.name()) == Some(wanted))
        };
        // A model that pools by itself does it as its authors want.
        let output =
            named("sentence_embedding").or_else(|| named("last_hidden_state")).or(model.output_ids().first());
        let Some(&output) = output else { return Err(broken(&"it has no output")) };
        let mut engine = Engine { tokens, width: 0, hash, model, inputs, output };
        let pool = Pool::new(rten::ThreadPool::with_num_threads(1));
        let (_, width) = engine.compute(&[&[0]], &pool).map_err(|e| broken(&e))?;
        if engine.compute(&[&[engine.tokens.largest()]], &pool).is_err() {
            return Err(folder.bad_tokenizer("it has tokens that the model beside it does not know"));
        }
        engine.width = width;
        Ok(engine)
    }

    /// The embeddings of `texts`, given as tokens, one after the other; not of length 1 yet.
    ///
    /// # Errors
    /// What the model failed with.
    pub fn run(&self, texts: &[&[u32]], pooling: Pooling, pool: &Pool) -> Result<Vec<f32>, String> {
        let (output, width) = self.compute(texts, pool)?;
        if width != self.width {
            return Err(format!("the model gave {width} numbers for a token, and {} before", self.width));
        }
        if output.ndim == 2 {
            return Ok(output.data);
        }
        let lengths: Vec<_> = texts.iter().map(|text| text.len()).collect();
        Ok(pooling.apply(&output.data, &lengths, width))
    }

    fn compute(&self, texts: &[&[u32]], pool: &Pool) -> Result<(Output, usize), String> {
        let longest = texts.iter().map(|text| text.len()).max().unwrap_or(0);
        let shape = [texts.len(), longest];
        let mut inputs = Vec::with_capacity(self.inputs.len());
        for &(id, input) in &self.inputs {
            let mut data = vec![0i32; texts.len() * longest];
            for (row, text) in data.chunks_exact_mut(longest.max(1)).zip(texts) {
                for (place, (number, &token)) in row.iter_mut().zip(*text).enumerate() {
                    *number = match input {
                        Input::Ids => i32::try_from(token).map_err(|e| e.to_string())?,
                        Input::Mask => 1,
                        Input::Types => 0,
                        Input::Positions => place as i32,
                    };
                }
            }
            inputs.push((id, Value::from_shape(shape, data).map_err(|e| e.to_string())?.into()));
        }
        let options = RunOptions::default().with_thread_pool(Some(pool.clone()));
        let run = self.model.run(inputs, &[self.output], Some(options));
        let output = run.map_err(|e| bounded(&e.to_string(), 200))?.into_iter().next().ok_or("no output")?;
        let shape: Vec<usize> = output.shape().to_vec();
        let (ndim, width) = (shape.len(), shape.last().copied().unwrap_or(0));
        let expected = match ndim {
            2 => texts.len() * width,
            3 => texts.len() * longest * width,
            _ => 0,
        };
        let data = match output {
            Value::FloatTensor(tensor) => tensor.into_data(),
            _ => return Err("the output holds no real numbers".into()),
        };
        match expected > 0 && data.len() == expected && shape[0] == texts.len() {
            true => Ok((Output { data, ndim }, width)),
            false => Err(format!("the output has the shape {shape:?}, which is no vector a token or a text")),
        }
    }
}

struct Output {
    data: Vec<f32>,
    ndim: usize,
}

/// What encoders of texts are made of. Loops are not, so that no file computes for ever.
#[rustfmt::skip]
fn operators() -> OpRegistry {
    op_registry!(
        Abs, Add, And, Cast, CastLike, Ceil, Clip, Concat, ConstantOfShape, Cos, CumSum, DequantizeLinear,
        Div, DynamicQuantizeLinear, Einsum, Equal, Erf, Exp, Expand, Flatten, Floor, Gather, GatherElements,
        GatherND, Gelu, Gemm, Greater, GreaterOrEqual, Identity, If, IsInf, IsNaN, LayerNormalization, Less,
        LessOrEqual, Log, LpNormalization, MatMul, MatMulInteger, Max, Mean, Min, Mod, Mul, Neg, NonZero,
        Not, Or, Pad, Pow, QuantizeLinear, Range, Reciprocal, ReduceL2, ReduceMax, ReduceMean, ReduceMin,
        ReduceProd, ReduceSum, Relu, Reshape, RotaryEmbedding, Round, ScatterElements, ScatterND, Shape,
        Sigmoid, Sign, Sin, Size, Slice, Softmax, Softplus, Split, Sqrt, Squeeze, Sub, Sum, Tanh, Tile,
        Transpose, Trilu, Unsqueeze, Where, Xor
    )
}
