#include "calor/train/roof.h"

#include <ATen/ATen.h>
#include <ATen/record_function.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <functional>
#include <limits>
#include <map>
#include <mutex>
#include <tuple>

namespace calor::train {
namespace {

using Clock = std::chrono::steady_clock;

// A factor without its numbers.
struct Factor {
  std::vector<std::int64_t> sizes, strides;
  at::TensorOptions options;

  explicit Factor(const at::Tensor& t)
      : sizes(t.sizes().vec()), strides(t.strides().vec()), options(t.options()) {}
  // A dimension that is repeated (stride 0) is repeated here, too.
  at::Tensor ones() const {
    std::vector<std::int64_t> stored = sizes;
    for (std::size_t i = 0; i < stored.size(); ++i) {
      if (strides[i] == 0) stored[i] = std::min<std::int64_t>(stored[i], 1);
    }
    return at::empty_strided(stored, strides, options.requires_grad(false)).fill_(1).expand(sizes);
  }
};

struct Noted {
  Product product;
  at::Device device = at::kCPU;
  std::function<std::function<void()>()> prepare;  // makes the factors, then the work on them
};

using Key = std::tuple<std::string, std::vector<std::int64_t>, std::vector<std::int64_t>,
                       std::vector<std::int64_t>, std::vector<std::int64_t>, at::ScalarType>;

struct Notes {
  std::mutex mutex;
  std::map<Key, Noted> noted;
};
Notes* notes = nullptr;  // of the recorder that lives
at::CallbackHandle handle{};

double elements(const std::vector<std::int64_t>& sizes) {
  double product = 1;
  for (const std::int64_t size : sizes) product *= static_cast<double>(size);
  return product;
}

void note(const std::string& kind, const at::Tensor& a, const at::Tensor& b, double flops,
          const std::function<std::function<void()>()>& prepare) {
  const Factor left(a);
  const Factor right(b);
  const Key key{kind, left.sizes, left.strides, right.sizes, right.strides, a.scalar_type()};
  const std::lock_guard lock(notes->mutex);
  Noted& entry = notes->noted[key];
  if (entry.product.count == 0) {
    entry.product = {
        .kind = kind, .left = left.sizes, .right = right.sizes, .type = a.scalar_type()};
    entry.device = a.device();
    entry.prepare = prepare;
  }
  ++entry.product.count;
  entry.product.flops += flops;
}

void note_product(const char* kind, const at::Tensor& a, const at::Tensor& b) {
  const double flops = 2 * elements(a.sizes().vec()) * static_cast<double>(b.size(-1));
  note(kind, a, b, flops, [left = Factor(a), right = Factor(b)] {
    return std::function<void()>([a = left.ones(), b = right.ones()] { at::matmul(a, b); });
  });
}

// Arguments of aten::convolution behind input, weight and bias; aten::convolution_backward has them
// behind gradient, input, weight and the bias' sizes.
struct Geometry {
  std::vector<std::int64_t> stride, padding, dilation, output_padding;
  bool transposed = false;
  std::int64_t groups = 1;

  Geometry(c10::ArrayRef<const c10::IValue> inputs, std::size_t first)
      : stride(inputs[first].toIntVector()),
        padding(inputs[first + 1].toIntVector()),
        dilation(inputs[first + 2].toIntVector()),
        output_padding(inputs[first + 4].toIntVector()),
        transposed(inputs[first + 3].toBool()),
        groups(inputs[first + 5].toInt()) {}
};

// Each number of the weight meets each place of the output (of the input, where transposed).
double convolution_flops(const at::Tensor& weight, const at::Tensor& places) {
  return 2 * elements(weight.sizes().vec()) * elements(places.sizes().vec()) /
         static_cast<double>(places.size(1));
}

void note_convolution(c10::ArrayRef<const c10::IValue> inputs) {
  const at::Tensor& x = inputs[0].toTensor();
  const at::Tensor& weight = inputs[1].toTensor();
  const Geometry g(inputs, 3);
  double flops = convolution_flops(weight, x);
  for (std::size_t i = 0; i < g.stride.size() && !g.transposed; ++i) {
    flops /= static_cast<double>(g.stride[i]);
  }
  note("convolution", x, weight, flops, [left = Factor(x), right = Factor(weight), g] {
    return std::function<void()>([x = left.ones(), w = right.ones(), g] {
      at::convolution(x, w, {}, g.stride, g.padding, g.dilation, g.transposed, g.output_padding,
                      g.groups);
    });
  });
}

void note_convolution_backward(c10::ArrayRef<const c10::IValue> inputs) {
  const at::Tensor& gradient = inputs[0].toTensor();
  const at::Tensor& x = inputs[1].toTensor();
  const at::Tensor& weight = inputs[2].toTensor();
  const Geometry g(inputs, 4);
  const auto wanted = inputs[10].toBoolList();
  const std::array<bool, 3> mask{wanted.get(0), wanted.get(1), false};
  const double flops = convolution_flops(weight, g.transposed ? x : gradient) *
                       (static_cast<int>(mask[0]) + static_cast<int>(mask[1]));
  note("convolution, backward", x, weight, flops,
       [grad = Factor(gradient), left = Factor(x), right = Factor(weight), g, mask] {
         return std::function<void()>(
             [grad = grad.ones(), x = left.ones(), w = right.ones(), g, mask] {
               at::convolution_backward(grad, x, w, {}, g.stride, g.padding, g.dilation,
                                        g.transposed, g.output_padding, g.groups, mask);
             });
       });
}

std::unique_ptr<at::ObserverContext> on_operator(const at::RecordFunction& function) {
  if (notes == nullptr) return nullptr;
  const std::string_view name = function.name();
  const auto inputs = function.inputs();
  if (name == "aten::mm") {
    note_product("product", inputs[0].toTensor(), inputs[1].toTensor());
  } else if (name == "aten::addmm") {
    note_product("product", inputs[1].toTensor(), inputs[2].toTensor());
  } else if (name == "aten::bmm") {
    note_product("products in a batch", inputs[0].toTensor(), inputs[1].toTensor());
  } else if (name == "aten::baddbmm") {
    note_product("products in a batch", inputs[1].toTensor(), inputs[2].toTensor());
  } else if (name == "aten::convolution") {
    note_convolution(inputs);
  } else if (name == "aten::convolution_backward") {
    note_convolution_backward(inputs);
  }
  return nullptr;
}

void wait_for(at::Device device) {
  if (!device.is_cpu()) at::zeros({1}, at::TensorOptions(device)).item<float>();
}

// The fastest of several times, in seconds.
double fastest(const std::function<void()>& work, at::Device device, int repeats) {
  double best = std::numeric_limits<double>::infinity();
  for (int i = 0; i <= repeats; ++i) {  // once more, to warm up
    const auto start = Clock::now();
    work();
    wait_for(device);
    const std::chrono::duration<double> taken = Clock::now() - start;
    best = std::min(best, taken.count());
  }
  return best;
}

}  // namespace

ProductRecorder::ProductRecorder() {
  notes = new Notes;
  handle = at::addGlobalCallback(at::RecordFunctionCallback(on_operator)
                                     .needsInputs(true)
                                     .scopes({at::RecordScope::FUNCTION}));
}

ProductRecorder::~ProductRecorder() {
  at::removeCallback(handle);
  delete notes;
  notes = nullptr;
}

std::vector<Product> ProductRecorder::noted() const {
  const std::lock_guard lock(notes->mutex);
  std::vector<Product> products;
  for (const auto& [key, noted] : notes->noted) products.push_back(noted.product);
  return products;
}

std::vector<Product> ProductRecorder::time_alone(int repeats) {
  at::disableCallback(handle);
  const c10::InferenceMode no_graph;
  std::vector<Product> products;
  for (auto& [key, noted] : notes->noted) {
    Product product = noted.product;
    const auto work = noted.prepare();
    product.seconds = fastest(work, noted.device, repeats) * static_cast<double>(product.count);
    products.push_back(std::move(product));
  }
  at::reenableCallback(handle);
  std::ranges::sort(products, std::greater(), &Product::seconds);
  return products;
}

double copy_bandwidth(at::Device device, std::int64_t bytes) {
  const at::Tensor from = at::ones({bytes}, at::TensorOptions(device).dtype(at::kByte));
  const at::Tensor to = at::zeros_like(from);
  return 2 * static_cast<double>(bytes) / fastest([&] { to.copy_(from); }, device, 5);
}

}  // namespace calor::train
