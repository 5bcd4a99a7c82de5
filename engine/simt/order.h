// The order in which the emulator runs the lanes of a block and the blocks of a launch. Results must not depend on it.
#pragma once

namespace g2s::simt {

enum class Order { forward, reverse, shuffle };

// Null in a program without the emulator.
__attribute__((weak)) void set_order(Order order);
__attribute__((weak)) Order order();  // as set, or else by G2S_SIMT_ORDER=forward|reverse|shuffle

}  // namespace g2s::simt
