/** The front door, {@link dev.coppice.Coppice}. Nothing here takes or gives {@code null}. */
@NullMarked
package dev.coppice;

import org.jspecify.annotations.NullMarked;
