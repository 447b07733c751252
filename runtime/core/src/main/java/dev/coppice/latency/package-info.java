/** Measuring how long a model takes, with a verdict that holds. Nothing here takes or gives {@code null}. */
@NullMarked
package dev.coppice.latency;

import org.jspecify.annotations.NullMarked;
