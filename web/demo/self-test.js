/** The page of the self-test: test vectors, verified in this browser. */
import { engine } from "./engine.js";
import { startVectorsCard } from "./vectors-card.js";

startVectorsCard(engine);
