// How fast weights are loaded, beside reading the file's bytes from the page cache into fresh
// memory, which is what any reader that copies must do (PERFORMANCE row P9: at least 0.9 of it).
//
//     build/bench/loading [--megabytes 400] [--rounds 7] [--folder /tmp]
//
// Writes a file of 128 tensors, reads it both ways in turn, prints the medians and the median of
// the ratios with its range, and removes the file.
#include <ATen/ATen.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <functional>
#include <memory>
#include <vector>

#include "calor/core/device.h"
#include "calor/core/error.h"
#include "calor/io/atomic_file.h"
#include "calor/io/safetensors.h"

namespace {

namespace fs = std::filesystem;

double seconds_of(const std::function<void()>& body) {
  const auto start = std::chrono::steady_clock::now();
  body();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
}

double median(std::vector<double> numbers) {
  std::ranges::sort(numbers);
  return numbers[numbers.size() / 2];
}

// The bytes of the file, into memory that is new each time.
void read_bytes(const fs::path& path) {
  const auto size = fs::file_size(path);
  const auto buffer = std::make_unique_for_overwrite<char[]>(size);
  const int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  std::size_t done = 0;
  while (done < size) {
    const ssize_t got = read(descriptor, buffer.get() + done, size - done);
    if (got <= 0) break;
    done += static_cast<std::size_t>(got);
  }
  close(descriptor);
  if (done < size) throw calor::Error("the file's bytes", "fewer", "look at the disk");
}

}  // namespace

int main(int argc, char** argv) try {
  calor::prepare_to_compute();
  std::int64_t megabytes = 400;
  int rounds = 7;
  std::string folder = fs::temp_directory_path();
  CLI::App program("Times loading of weights.", "loading");
  program.add_option("--megabytes", megabytes, "size of the file")
      ->check(CLI::Range(1, 100000))
      ->capture_default_str();
  program.add_option("--rounds", rounds, "rounds, after one")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  program.add_option("--folder", folder, "where the file is written")
      ->check(CLI::ExistingDirectory);
  CLI11_PARSE(program, argc, argv);
  const fs::path path = fs::path(folder) / fmt::format("calor-loading-{}.safetensors", getpid());
  {
    calor::io::TensorFile file;
    constexpr std::int64_t tensors = 128;
    for (std::int64_t i = 0; i < tensors; ++i) {
      file.tensors.emplace_back(fmt::format("layer.{}", i),
                                at::full({megabytes * 250'000 / tensors}, 0.5));
    }
    calor::io::write_safetensors(path, file);
  }
  std::vector<double> bytes, loads, ratios;
  for (int round = 0; round <= rounds; ++round) {
    const double read = seconds_of([&] { read_bytes(path); });
    const double load = seconds_of([&] { calor::io::read_safetensors(path); });
    if (round == 0) continue;
    bytes.push_back(read);
    loads.push_back(load);
    ratios.push_back(read / load);
  }
  fs::remove(path);
  const auto [least, most] = std::ranges::minmax(ratios);
  std::puts(fmt::format("bytes {:.4f} s, weights {:.4f} s; speed of loading over reading bytes: "
                        "{:.2f} ({:.2f} to {:.2f}, {} rounds)",
                        median(bytes), median(loads), median(ratios), least, most, rounds)
                .c_str());
  return 0;
} catch (const calor::Error& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return error.exit_status();
}
