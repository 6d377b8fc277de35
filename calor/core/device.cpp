#include "calor/core/device.h"

#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#ifdef __GLIBC__
#include <malloc.h>
#endif
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "calor/core/error.h"

namespace calor {
namespace {

std::vector<std::string> own_arguments() {
  std::ifstream file("/proc/self/cmdline", std::ios::binary);
  std::vector<std::string> arguments;
  for (std::string argument; std::getline(file, argument, '\0');) arguments.push_back(argument);
  return arguments;
}

void let_idle_threads_sleep() {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr) return;
  std::vector<std::string> arguments = own_arguments();
  if (arguments.empty()) return;
  std::vector<char*> argv;
  for (auto& argument : arguments) argv.push_back(argument.data());
  argv.push_back(nullptr);
  setenv("OMP_WAIT_POLICY", "passive", 1);
  // By its real path, so that the process keeps its name. It returns only where it failed: then the
  // default stays.
  std::error_code ignored;
  execv(std::filesystem::read_symlink("/proc/self/exe", ignored).c_str(), argv.data());
}

void keep_freed_memory() {
#ifdef __GLIBC__
  constexpr int largest = 1 << 30;
  mallopt(M_MMAP_THRESHOLD, largest);
  mallopt(M_TRIM_THRESHOLD, largest);
  mallopt(M_TOP_PAD, 1 << 26);
#endif
}

}  // namespace

c10::Device parse_device(const std::string& name) {
  const bool cuda_here = at::globalContext().hasCUDA();
  if (name == "auto") return cuda_here ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
  if (name == "cpu") return at::Device(at::kCPU);
  const bool numbered = name.starts_with("cuda:") && name.size() > 5 && name.size() < 8 &&
                        name.find_first_not_of("0123456789", 5) == std::string::npos;
  if (name != "cuda" && !numbered) {
    throw usage_error("--device auto, cpu, cuda or cuda:N", fmt::format("'{}'", name),
                      "leave --device out to take a GPU where there is one");
  }
  const int index = numbered ? std::stoi(name.substr(5)) : 0;
  const int count = cuda_here ? static_cast<int>(at::getNumGPUs()) : 0;
  if (index >= count) {
    throw usage_error(fmt::format("a GPU for --device {}", name),
                      count == 0 ? "this build of LibTorch sees none"
                                 : fmt::format("{} GPUs, numbered from 0", count),
                      "use --device cpu, or build with the CUDA build of LibTorch");
  }
  return {at::kCUDA, static_cast<at::DeviceIndex>(index)};
}

void set_threads(int threads) {
  if (threads > 0) at::set_num_threads(threads);
}

void prepare_to_compute() {
  let_idle_threads_sleep();
  keep_freed_memory();
}

}  // namespace calor
