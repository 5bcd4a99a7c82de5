// Arithmetic of sizes for *.isa.cpp files: a copy of std::min from there could be taken for the whole program.
#pragma once

#include <cstdint>

namespace g2s::kernels::G2S_ISA {
namespace {

constexpr std::int64_t min(std::int64_t a, std::int64_t b) { return a < b ? a : b; }
constexpr std::int64_t max(std::int64_t a, std::int64_t b) { return a > b ? a : b; }
constexpr std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

}  // namespace
}  // namespace g2s::kernels::G2S_ISA
