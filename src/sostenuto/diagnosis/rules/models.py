"""Layers put together to a model, its training, and the kernels behind it. Our own errors."""

from sostenuto.diagnosis.catalogue import rule

SO601 = rule(
    "SO601",
    "These layers do not make a model of sequences",
    "SequenceModel takes a list of layers, a keras.Sequential or a Functional keras.Model.",
    "Look at the layer named.",
    example="""
import keras, numpy as np, sostenuto as so
one, two = keras.Input((None, 3)), keras.Input((None, 3))
so.SequenceModel(keras.Model([one, two], so.LSTM(4)(keras.layers.concatenate([one, two]))))
""",
)

SO602 = rule(
    "SO602",
    "A layer mixes steps and knows no mask",
    "Padding would reach the result of real steps, so a sequence would no longer give the same answer alone as in a "
    "batch.",
    "Use padding='causal' with strides=1 in a Conv1D; give a layer of yours supports_masking = True and a call that "
    "honours mask=; or move it behind the layer that reduces time.",
    example="""
import keras, numpy as np, sostenuto as so
layers = [so.LSTM(3, return_sequences=True), keras.layers.Conv1D(4, 3, padding="same"), so.LSTM(4)]
model = so.SequenceModel(layers)
model.predict([np.ones((5, 3)), np.ones((4, 3))])
""",
)

SO603 = rule(
    "SO603",
    "The model must be compiled first",
    "fit and evaluate need a loss and an optimizer.",
    "model.compile('adam', 'mse') or the like.",
    example="""
import numpy as np, sostenuto as so
so.SequenceModel([so.LSTM(2)]).fit([np.ones((5, 3))], np.ones((1, 2)))
""",
)

SO604 = rule(
    "SO604",
    "An option that this layer cannot serve",
    "Sostenuto runs the recurrence with its own kernels. cuDNN is not among them, and an unrolled loop needs the "
    "number of steps when the model is built.",
    "Leave use_cudnn at 'auto'; leave unroll at False, or declare the number of steps in keras.Input.",
    example="""
import numpy as np, sostenuto as so
so.LSTM(4, use_cudnn=True)(np.ones((2, 5, 3), "float32"))
""",
)

SO605 = rule(
    "SO605",
    "The model was declared for another number of steps",
    "A keras.Input with a number of steps fixes the time axis: shorter sequences are padded to it, longer ones do "
    "not fit.",
    "Declare keras.Input((None, features)); or cut the sequences first, with chunk or window.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([keras.Input((3, 2)), so.LSTM(4)])
model.predict([np.ones((5, 2))])
""",
)

SO606 = rule(
    "SO606",
    "A setting of carried states means nothing",
    "chunk, carry, chunk_targets and initial_state say how states travel from step to step, from chunk to chunk and "
    "from epoch to epoch.",
    "Take one of the values that the message names.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.LSTM(4), keras.layers.Dense(1)])
model.compile("adam", "mse")
model.fit([np.ones((5, 3))], [0.5], chunk=0)
""",
)

SO607 = rule(
    "SO607",
    "A model cannot run sequences in pieces",
    "fit(chunk=...) and sessions run a sequence piece by piece and carry the states of recurrent layers from one to "
    "the next. A layer that reads backwards needs what is yet to come; a convolution, an attention or a pooling over "
    "time would have to remember the steps before the cut.",
    "Run sequences whole, or use recurrent layers that read forwards, with layers that work step by step between them.",
    example="""
import keras, numpy as np, sostenuto as so
model = so.SequenceModel([so.Bidirectional(so.LSTM(4))])
model.build(3)
model.session()
""",
)

SO608 = rule(
    "SO608",
    "The model is not built",
    "A session runs the weights of a model, and there are none before it knows how many features a step has.",
    "model.build(features); or fit the model, or load one that was fitted.",
    example="""
import numpy as np, sostenuto as so
so.SequenceModel([so.LSTM(4)]).session()
""",
)

SO609 = rule(
    "SO609",
    "The native kernel cannot be differentiated like this",
    "It computes gradients in reverse mode, once: no derivatives of gradients, none in forward mode.",
    "Set SOSTENUTO_NATIVE=0; the portable kernel can be differentiated in any way, any number of times.",
    needs="a second derivative on the native kernels",
)

SO610 = rule(
    "SO610",
    "The weights are with a training that is under way",
    "On JAX, Keras's fit takes the values out of a model's variables and keeps them until the epoch ends. A "
    "SequenceModel that is fitted itself gives them to its sessions and to predict; one whose layers are trained as "
    "part of another model cannot.",
    "Call jax_state_sync() of the model that is being fitted, in the callback, before the session; or use "
    "on_epoch_end.",
    needs="a callback in the middle of a training on JAX",
)
