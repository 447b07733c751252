package example;

import dev.coppice.Coppice;
import dev.coppice.api.Image;
import dev.coppice.junit.LatencyProbe;
import dev.coppice.junit.LatencyTest;
import java.nio.file.Path;

class FrameLatencyTest {

  @LatencyTest(bundle = "../../../export/bundles/imagenette-mini", percentile = 90, limit = "2 s", warmUp = "5 s", minDuration = "2 s", maxDuration = "10 s")
  void classifiesOneFrame(LatencyProbe probe) throws Exception {
    Image frame = Coppice.image(Path.of("../../images/golf-ball.jpg"));
    probe.measure(() -> probe.classifier().classify(frame));
  }
}
