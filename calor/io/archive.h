// Members of tar (plain, gzip, xz, zstd) and zip archives, read in order through libarchive, and
// whole gzip files.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace calor::io {

// Calls `visit(name, bytes)` for each regular file of the archive, in archive order. Members larger
// than `max_member_bytes` and archives that are damaged or end early are errors.
void for_each_member(
    const std::filesystem::path& archive,
    const std::function<void(const std::string& name, std::span<const std::byte> bytes)>& visit,
    std::uint64_t max_member_bytes = std::uint64_t{1} << 32);

// Calls `visit` for each regular file with its first bytes, `most` of them where it is as long, and
// its whole size. The rest is not unpacked where the format allows it, hence not checked.
using VisitStart = std::function<void(const std::string& name, std::span<const std::byte> start,
                                      std::uint64_t size)>;
void for_each_member_start(const std::filesystem::path& archive, std::size_t most,
                           const VisitStart& visit);

// The names of an archive's regular files, in archive order, without reading them where the format
// allows it. Errors as above.
std::vector<std::string> member_names(const std::filesystem::path& archive);

// A zip of these members, not packed and without times: the same contents give the same bytes.
// Atomically.
void write_zip(const std::filesystem::path& path,
               const std::vector<std::pair<std::string, std::string>>& members);

// True for names that end in .tar, .tar.gz, .tgz, .tar.xz, .tar.zst or .zip.
bool is_archive_name(const std::filesystem::path& path);

// The contents of a file, unpacked where it is gzip; Error beyond `max_bytes` or where truncated.
std::vector<std::byte> read_maybe_gzip(const std::filesystem::path& path,
                                       std::uint64_t max_bytes = std::uint64_t{1} << 34);

}  // namespace calor::io
