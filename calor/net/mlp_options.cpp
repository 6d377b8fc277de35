// The settings of the multi-layer perceptron.
#include "calor/net/mlp.h"

namespace calor::net {

void MlpOptions::declare(config::Options& options) {
  static constexpr config::Choice<Activation> activations[] = {
      {"relu", Activation::relu, "max(a, 0)"},
      {"elu", Activation::elu, "exp(a) - 1 below zero"},
      {"softplus20", Activation::softplus20, "ln(1 + exp(20 a)) / 20, a smooth ReLU"},
      {"silu", Activation::silu, "a sigmoid(a)"},
      {"gelu", Activation::gelu, "a times the normal distribution function"},
      {"tanh", Activation::tanh, "hyperbolic tangent"},
  };
  static constexpr config::Choice<TimeInput> times[] = {
      {"appended", TimeInput::appended, "the time itself in front of the row"},
      {"fourier", TimeInput::fourier, "sines and cosines of the time in front of the row"},
  };
  options.add("mlp.width", width, {1, 16384}, "", "width of the hidden layers");
  options.add("mlp.layers", layers, {1, 256}, "layers",
              "hidden layers; residual blocks take two each");
  options.add("mlp.activation", activation, activations, "activation of the hidden layers");
  options.add("mlp.residual", residual, "residual blocks that the time shifts and scales");
  options.add("mlp.time", time, times, "how the time enters");
  options.add("mlp.fourier_features", fourier_features, {1, 64}, "frequencies",
              "frequencies of the time's sines and cosines");
  options.add("mlp.position_features", position_features, {0, 32}, "frequencies",
              "the row's numbers x also enter as sines and cosines of pi/4 2^(k/2) x for this many "
              "k from 0 on; for fine detail in the plane");
  options.add("mlp.embedding", embedding, {1, 4096}, "",
              "width of the embedding of label, condition and time");
  options.add("mlp.dropout", dropout, {0, 0.9}, "probability", "dropout after every activation");
}

}  // namespace calor::net
