// PTX as text, and what an interpreter makes of it: an independent execution of what nvcc compiled. Instructions are kept by name and type; the subset
// is that of our kernels, and whatever else a kernel holds is refused when it is met.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace g2s::ptx {

enum class Place : std::uint8_t { reg, predicate, immediate, address, label, vector, special, none };

struct Operand {
  Place place = Place::none;
  bool negated = false;              // !%p
  int index = -1;                    // of a register; of a label's instruction; of a special register
  int second = -1;                   // of %p|%q
  std::uint64_t value = 0;           // immediate's bits, address's offset
  std::string symbol;                // that an address or a value is relative to, empty: the register `index`
  std::vector<Operand> parts;        // of a vector
};

enum class Type : std::uint8_t { none, pred, u8, u16, u32, u64, s8, s16, s32, s64, b8, b16, b32, b64, b128, f32, f64, bf16x2, tf32 };

int bytes_of(Type type);

// Modifiers that are asked for often.
enum class Mark : std::uint8_t { ftz, sat, rm, rp, rz, wide, hi, cc, shared, count };

struct Instruction {
  std::string name;                    // "fma", "ld"
  std::vector<std::string> modifiers;  // "rn", "f32", in order
  Type type = Type::none, from = Type::none;  // the last two types of the modifiers: destination first
  int width = 1;                       // v2, v4
  int guard = -1;                      // predicate
  bool guard_negated = false;
  std::vector<Operand> operands;
  int line = 0;
  int code = -1;     // of arithmetic
  int relation = 0;  // of setp: its place among the names of relations
  unsigned marks = 0;

  bool has(const char* modifier) const;
  bool has(Mark m) const { return marks >> static_cast<unsigned>(m) & 1u; }
};

struct Parameter {
  std::string name;
  int bytes = 0, align = 1;
};

struct Function {
  std::string name;
  bool entry = false;
  std::vector<Parameter> parameters, results;
  int registers = 0, predicates = 0, local_bytes = 0;
  std::map<std::string, int> locals;  // name -> offset
  std::map<std::string, int> slots;   // parameters of this function and of its calls -> offset in its parameter memory
  int slot_bytes = 0;
  std::vector<Instruction> code;
};

struct Module {
  std::string path;
  std::map<std::string, Function> functions;              // by mangled name
  std::map<std::string, std::vector<unsigned char>> data;  // .global and .const tables
};

// Throws Error naming file and line of what it does not understand.
Module parse(const std::string& path, const std::string& text);

}  // namespace g2s::ptx
