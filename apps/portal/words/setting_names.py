"""Names of the settings of models that count, compare and factorise, and what each does."""

from typing import Any

from django.utils.translation import gettext_lazy as _

SETTINGS: dict[str, tuple[Any, Any]] = {
    "half_life_days": (_("Half-life (days)"), _("After so many days an event counts half.")),
    "anonymous": (_("Count visitors who are not known"), _("What strangers buy counts too.")),
    "recent_half_life_days": (
        _("Half-life of what is recent (days)"),
        _("Shorter follows the latest days more closely."),
    ),
    "long_half_life_days": (
        _("Half-life of what is usual (days)"),
        _("Longer takes more of the past as what is usual."),
    ),
    "prior": (_("Caution for rare products, recent"), _("More lets rare products rise more slowly.")),
    "long_prior": (_("Caution for rare products, usual"), _("More lets rare products rise more slowly.")),
    "neighbours": (_("Neighbours kept"), _("How many similar ones each one is compared with.")),
    "weighting": (_("Weighting"), _("How much products that everybody buys count against rare ones.")),
    "shrink": (_("Shrinkage"), _("More trusts a similarity only when many shoppers share it.")),
    "row_half_life_days": (
        _("Half-life when learning (days)"),
        _("After so many days a choice teaches half as much."),
    ),
    "profile_half_life_days": (
        _("Half-life of a shopper's history (days)"),
        _("After so many days a shopper's own choice speaks half as loud."),
    ),
    "trend_weight": (
        _("Weight of the trend"),
        _("0 leaves the trend out; more follows what sells better than it used to."),
    ),
    "trend_half_life_days": (
        _("Half-life of what counts as recent (days)"),
        _("Shorter sees a rise sooner, and more chance in it."),
    ),
    "similarity_half_life_days": (
        _("Half-life when comparing shoppers (days)"),
        _("After so many days a choice makes shoppers alike half as much."),
    ),
    "interest_half_life_days": (
        _("Half-life of the neighbours' interest (days)"),
        _("After so many days what a neighbour chose is recommended half as strongly."),
    ),
    "likeness_ceiling": (
        _("Best sellers left out of likeness (shoppers)"),
        _("A product of more shoppers than this makes nobody alike."),
    ),
    "baskets": (_("Learn from baskets too"), _("What is bought in one order belongs together.")),
    "basket_weight": (_("Weight of baskets"), _("How much one order says beside a whole history.")),
    "row_exponent": (
        _("Caution for long histories"),
        _("More lets pairs from long histories and large baskets say less."),
    ),
    "popularity_discount": (
        _("Discount of popular neighbours"),
        _("0 counts joint choices as they are; 1 is blind to popularity."),
    ),
    "own_weight": (
        _("Weight of the product itself"),
        _("More brings back what the shopper looked at or bought."),
    ),
    "category_prior": (
        _("Trust in the category beside a product"),
        _("More leans on what usually goes with its category where little is known."),
    ),
    "order_decay": (
        _("Decay from one choice to the next"),
        _("Each older choice counts this share of the next one; empty counts by age alone."),
    ),
    "side_weight": (
        _("Weight of category and brand"),
        _("How much a shared category, brand or group ties products; 0 leaves them out."),
    ),
    "tail_neighbours": (
        _("Neighbours of rare products"),
        _("Products beyond the largest number get this many links each."),
    ),
    "kept": (_("Links kept per product"), _("Fewer make lists faster and lose a little; empty keeps all.")),
    "max_items": (_("Products at most"), _("Memory grows with the square of it.")),
    "word_features": (_("Words kept"), _("More tell texts apart better and take more memory.")),
    "char_features": (_("Letter groups kept"), _("They make spellings and Chinese comparable.")),
    "char_low": (_("Shortest letter group"), _("Letters in the shortest piece of a word that is compared.")),
    "char_high": (_("Longest letter group"), _("Letters in the longest piece of a word that is compared.")),
    "word_weight": (_("Weight of words"), _("How much common words make products alike.")),
    "char_weight": (_("Weight of letter groups"), _("How much common letter groups make products alike.")),
    "category_weight": (_("Weight of categories"), _("How much a shared category counts.")),
    "factors": (_("Hidden tastes"), _("More tell shoppers apart better and take longer.")),
    "regularisation": (
        _("Regularisation"),
        _("More keeps to what many shoppers share; less follows each closely."),
    ),
    "frequency_exponent": (
        _("Regularisation by frequency"),
        _("0 holds all shoppers back alike; 1 holds back those with much history more."),
    ),
    "alpha": (
        _("Confidence per event"),
        _("How much more a bought product counts than one nobody looked at."),
    ),
    "cg_steps": (_("Solver steps per round"), _("More is more exact and slower.")),
    "tolerance": (_("Stop when a round gains less than"), _("Smaller trains longer for little.")),
    "season_weight": (
        _("Weight of last year's season"),
        _("What sold at this time last year counts this much; 0 leaves it out."),
    ),
    "season_days": (_("Days of a season"), _("So many days from now are looked up in last year.")),
    "horizon_days": (
        _("Days looked ahead"),
        _("What is likely to be bought within so many days comes first."),
    ),
    "shape_prior": (
        _("Caution about when a product repeats"),
        _("More keeps to the rhythm of its category where little is known."),
    ),
    "pair_prior": (
        _("Caution about one shopper's rhythm"),
        _("More needs more repeats before a shopper's own rhythm counts."),
    ),
    "item_prior": (
        _("Caution about a product's own figures"),
        _("More keeps to what is usual where a product has little history."),
    ),
    "shopper_prior": (
        _("Caution about a shopper's own figures"),
        _("More keeps to what is usual where a shopper has little history."),
    ),
    "group_size": (_("Baskets per group"), _("So many baskets in a row count as one stretch of habits.")),
    "basket_decay": (
        _("Decay within a group"),
        _("A basket counts this share of the next one of its group."),
    ),
    "group_decay": (_("Decay between groups"), _("A group counts this share of the next one.")),
    "neighbour_half_life_days": (
        _("Half-life of what shoppers alike bring in (days)"),
        _("After so many days what they bought counts half."),
    ),
    "likeness": (_("Likeness of shoppers"), _("How two shoppers' baskets are compared.")),
    "likeness_exponent": (
        _("Sharpness of likeness"),
        _("More listens to the most alike only; 0 counts all alike."),
    ),
    "own_share": (_("Share of the shopper's own baskets"), _("The rest comes from shoppers alike.")),
    "averaged": (
        _("Average over baskets"),
        _("Yes counts how often per basket; no counts how often at all."),
    ),
    "base": (_("Starting from"), _("What everybody buys, or what rises; segments move it.")),
    "segment_half_life_days": (
        _("Half-life in segments (days)"),
        _("After so many days a segment's purchase counts half."),
    ),
    "region_weight": (
        _("Weight of the region"),
        _("0 leaves it out; 1 takes what the region says as it is."),
    ),
    "age_band_weight": (
        _("Weight of the age band"),
        _("0 leaves it out; 1 takes what the age band says as it is."),
    ),
    "gender_weight": (_("Weight of the gender"), _("0 leaves it out; 1 takes what it says as it is.")),
    "income_band_weight": (
        _("Weight of the income band"),
        _("0 leaves it out; 1 takes what the income band says as it is."),
    ),
    "language_weight": (_("Weight of the language"), _("0 leaves it out; 1 takes what it says as it is.")),
    "reach": (_("Places looked ahead"), _("What follows within so many clicks belongs to a product.")),
    "distance_power": (
        _("Fall with distance"),
        _("More counts what follows at once well above what follows later."),
    ),
    "backward": (_("Weight of looking back"), _("How much what came before counts beside what comes after.")),
    "own_discount": (
        _("Discount of frequent starting points"),
        _("More lets products that are seen everywhere say less."),
    ),
    "other_discount": (_("Discount of frequent followers"), _("More shows best sellers less.")),
    "memory": (_("Last products listened to"), _("So many of the latest products of a history speak.")),
    "memory_decay": (
        _("Decay from one place to the one before"),
        _("Each product further back counts this share of the next one."),
    ),
    "nearness": (
        _("Nearness to the last product in common"),
        _("Each place further from it counts this share of the one nearer."),
    ),
    "idf_power": (
        _("Weight of rare products in common"),
        _("More lets a rare product make sessions alike more than a best seller."),
    ),
    "length_power": (_("Caution for long sessions"), _("More lets long sessions say less.")),
    "recency": (
        _("Preference for the latest sessions"),
        _("0 counts old and new alike; more prefers the latest."),
    ),
    "min_count": (_("Baskets a pair must lie in"), _("Fewer find more rules, and more by chance.")),
    "min_support": (
        _("Share of baskets a pair must lie in"),
        _("Smaller finds more rules, and more by chance."),
    ),
    "longer_support": (
        _("The same for rules of three or more"),
        _("Larger keeps the number of long rules down."),
    ),
    "min_confidence": (
        _("Share of baskets in which a rule holds"),
        _("Larger keeps only rules that mostly hold."),
    ),
    "max_rule_length": (_("Products in a rule at most"), _("Both sides together.")),
    "bias_regularisation": (
        _("Regularisation of biases"),
        _("More keeps generous shoppers and well-liked products nearer to the mean."),
    ),
    "exponent": (_("Sharpness of likeness of products"), _("More listens to the most alike products only.")),
    "damping": (
        _("Caution where products are unlike"),
        _("More keeps to the mean where nothing similar was rated."),
    ),
    "holdout": (
        _("Share kept back for checking"),
        _("Held back in training to see when to stop, and how far predictions are off."),
    ),
    "members": (_("Rankers side by side"), _("More agree on an answer more steadily, and take longer.")),
    "rounds": (_("Trees"), _("More follow the past more closely and take longer.")),
    "leaves": (_("Leaves of a tree"), _("More tell more cases apart and need more data.")),
    "least_in_leaf": (_("Examples in a leaf at least"), _("More keeps trees from learning by heart.")),
    "feature_share": (
        _("Share of facts a tree looks at"),
        _("Less makes trees differ, and steadier together."),
    ),
    "truncation": (_("Places from the top that count"), _("The order further down is not learned.")),
    "depth": (_("Products taken from each list"), _("More finds more and takes longer.")),
    "shoppers": (_("Shoppers learned from in a window"), _("More teach more and take longer.")),
    "coverage": (
        _("Push towards the rest of the catalogue"),
        _("0 leaves the order as it is; more shows more of the catalogue."),
    ),
    "windows": (
        _("Past windows it learns from"),
        _("More teach more and take longer: every source is trained once for each."),
    ),
}
