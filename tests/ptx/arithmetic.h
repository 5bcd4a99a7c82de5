// What one thread's arithmetic instructions give.
#pragma once

#include <cstdint>

#include "tests/ptx/module.h"

namespace g2s::ptx {

// The registers that an instruction of values reads, and the carry flag.
struct Inputs {
  std::uint64_t a = 0, b = 0, c = 0, d = 0;  // bits
  bool p = false;                            // of selp and setp's third operand
  unsigned carry = 0;
};

struct Output {
  std::uint64_t value = 0;
  bool flag = false;  // of setp
  unsigned carry = 0;
};

// The number by which compute() knows the instruction's name, -1 if it does not.
int code_of(const Instruction& i);
// Of setp, the relation that it tests; of others 0.
int relation_of(const Instruction& i);
Output compute(const Instruction& i, const Inputs& in);

}  // namespace g2s::ptx
