package dev.coppice.pipeline;

import jdk.jfr.Category;
import jdk.jfr.Description;
import jdk.jfr.Event;
import jdk.jfr.Label;
import jdk.jfr.Name;
import jdk.jfr.StackTrace;
import jdk.jfr.Timespan;

/**
 * One inference in a flight recording: in a scheduler from the beginning of the work to the labels, in a classifier from the
 * call, so with the wait for other threads' runs.
 */
@Name("coppice.Inference")
@Label("Inference")
@Description("An image from pixels to labels")
@Category("Coppice")
@StackTrace(false) // always the same, and dearer than the rest of the event
final class InferenceEvent extends Event {

  /** Stands for no event, and knows whether anybody records. */
  static final InferenceEvent NONE = new InferenceEvent();

  @Label("Bundle")
  String bundle;

  @Label("Rung")
  @Description("Name of the token budget; null for counts that are no rung")
  String rung;

  @Label("Queue")
  @Description("From submission to the beginning of the work")
  @Timespan
  long queue;

  @Label("Preprocess")
  @Timespan
  long preprocess;

  @Label("Run")
  @Timespan
  long run;

  @Label("Rank")
  @Timespan
  long rank;

  @Label("Temperature")
  @Description("Of the processor in degrees Celsius; NaN if unknown")
  double temperature;
}
