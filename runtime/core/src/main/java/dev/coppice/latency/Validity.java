package dev.coppice.latency;

import dev.coppice.api.DeviceState;
import java.util.ArrayList;
import java.util.List;
import java.util.OptionalDouble;
import java.util.OptionalLong;
import java.util.function.Function;

/** What the readings of a board say against a measurement; what it does not tell cannot speak against it. */
final class Validity {

  private static final double CLOCK = 0.95;
  private static final double OFTEN = 0.01;
  private static final double OTHERS = 0.05;
  private static final int LEAST_TICKS = 100; // shorter than a second of one processor, shares mean nothing

  private Validity() {}

  /** In the order of {@link Doubt}; {@code readings} has one from before the first sample and one from after the last. */
  static List<Finding> findings(List<DeviceState> readings, long collections, int samples) {
    List<Finding> found = new ArrayList<>();
    DeviceState first = readings.get(0);
    DeviceState last = readings.get(readings.size() - 1);
    long bits = first.throttled().orElse(0);
    long newBits = readings.stream().mapToLong(state -> state.throttled().orElse(bits) & (~bits | 0xF)).reduce(0, (a, b) -> a | b);
    long coolest = first.cooling().orElse(0);
    long cooling = readings.stream().mapToLong(state -> state.cooling().orElse(0)).max().orElseThrow();
    if (newBits != 0) {
      found.add(new Finding(Doubt.THROTTLING, String.format("the board throttled (get_throttled 0x%x, 0x%x at the start): cool it or give it a stronger power supply.", bits | newBits, bits)));
    } else if (cooling > 0) {
      found.add(new Finding(Doubt.THROTTLING, "the kernel held the clock down for heat (cooling state " + cooling + ", " + coolest + " at the start): cool the board."));
    }
    long slow = readings.stream().filter(state -> slower(first, state)).count();
    if (slow > OFTEN * readings.size()) {
      found.add(new Finding(Doubt.CLOCK, "the clock was below 95 % of the " + first.megahertz() + " MHz at the start in " + slow + " of " + readings.size()
          + " readings: use the governor performance, or cool the board."));
    }
    readings.stream().filter(state -> !state.governors().equals(first.governors())).findFirst().ifPresent(state -> found.add(new Finding(Doubt.GOVERNOR,
        "the frequency governor changed from " + first.governors() + " to " + state.governors() + ": leave it alone while a test runs.")));
    long swapIns = difference(first, last, DeviceState::swapIns).orElse(0);
    if (swapIns > 0) {
      found.add(new Finding(Doubt.SWAP, swapIns + " pages came back from swap: free some memory."));
    }
    double others = others(first, last).orElse(0);
    if (others > OTHERS) {
      found.add(new Finding(Doubt.LOAD, "other processes took " + Math.round(100 * others) + " % of the processors, expected at most 5 %: stop them."));
    }
    if (collections > OFTEN * samples) {
      found.add(new Finding(Doubt.GARBAGE, "the garbage collector ran " + collections + " times in " + samples + " samples, expected at most 1 %: allocate less in a run, or give the JVM more memory."));
    }
    return found;
  }

  /** The share of the processors that other processes took; empty if it is not known, or the time too short to tell. */
  static OptionalDouble others(DeviceState first, DeviceState last) {
    long ticks = difference(first, last, DeviceState::ticks).orElse(0);
    OptionalLong busy = difference(first, last, DeviceState::busyTicks);
    OptionalLong own = difference(first, last, DeviceState::ownTicks);
    return ticks < LEAST_TICKS || busy.isEmpty() || own.isEmpty() ? OptionalDouble.empty() : OptionalDouble.of((busy.getAsLong() - own.getAsLong()) / (double) ticks);
  }

  private static boolean slower(DeviceState first, DeviceState now) {
    for (int i = 0; i < Math.min(first.megahertz().size(), now.megahertz().size()); i++) {
      if (now.megahertz().get(i) < CLOCK * first.megahertz().get(i)) {
        return true;
      }
    }
    return false;
  }

  /** How much a count grew; empty where it is not known. */
  static OptionalLong difference(DeviceState first, DeviceState last, Function<DeviceState, OptionalLong> value) {
    OptionalLong from = value.apply(first);
    OptionalLong to = value.apply(last);
    return from.isPresent() && to.isPresent() ? OptionalLong.of(to.getAsLong() - from.getAsLong()) : OptionalLong.empty();
  }
}
