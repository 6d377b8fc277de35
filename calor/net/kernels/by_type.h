// Calls a kernel's template with the type that a tensor has: fp32 or fp64.
#pragma once

#include <ATen/core/Tensor.h>

namespace calor::net::kernels {

// The numbers of a contiguous tensor; null where it is undefined.
template <class T>
T* pointer(const at::Tensor& x) {
  return x.defined() ? static_cast<T*>(x.data_ptr()) : nullptr;
}

// Calls body(T{}) with the tensor's own type.
template <class Body>
void by_type(const at::Tensor& x, const Body& body) {
  if (x.scalar_type() == at::kFloat) {
    body(float{});
  } else {
    body(double{});
  }
}

}  // namespace calor::net::kernels
