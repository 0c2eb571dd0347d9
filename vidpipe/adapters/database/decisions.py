"""Ledger tables of promotions, evaluation sets, training splits and reference predictions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from vidpipe.adapters.database.connection import Database
from vidpipe.adapters.database.rows import COUNTS, EVALUATION, SPLIT_VIDEOS
from vidpipe.adapters.database.session import now_utc
from vidpipe.adapters.database.versions import key_of, standing, take_number
from vidpipe.records.models import EvaluationSet, EvaluationVideo, VersionId
from vidpipe.records.predictions import Intent, Promotion
from vidpipe.records.videos import canonical_json


class Decisions:
    """Tables of promotions, evaluation sets and reference predictions.

    All methods raise what `Database` says.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # -- promotions -----------------------------------------------------------------------------

    def put_promotion(
        self, model: str, promotion: Promotion, *, evidence: Mapping[str, Any], eval_set_hash: str | None,
        reason: str | None, actor: str, final: bool, to: VersionId | None = None,
    ) -> int:  # fmt: skip
        """Append a decision, or with `final=False` the intent to carry it out; returns its id.

        `to` is the version that `promotion.to_version` means; by default the one that has that number here.
        A version that the champion's alias moved to takes its number.
        """
        with self._database.session() as session:
            key = key_of(session, to) if to else None
            rows = session.rows(
                "promotion_intent", model_name=model, from_version=promotion.from_version,
                to_version=promotion.to_version, decision=promotion.decision,
                evidence=canonical_json(evidence), eval_set_hash=eval_set_hash, reason=reason, actor=actor,
                now=now_utc(), is_final=final, to_version_key=key,
            )  # fmt: skip
            if final and key is not None and promotion.decision == "external":
                take_number(session, key)
            return int(rows[0][0])

    def finish_promotion(self, promotion_id: int, *, serve: int | None = None) -> None:
        """Make an intent final; with `serve`, all collections switch in the same transaction.

        The version that it is about takes its number.
        """
        with self._database.session() as session:
            ((key,),) = session.rows("promotion_target", promotion_id=promotion_id)
            if key is not None:
                take_number(session, key)
            session.run("promotion_finish", promotion_id=promotion_id)
            if serve is not None:
                session.run("serving_switch_all", model_version=serve, now=now_utc())

    def abandon_promotion(self, promotion_id: int, *, why: str) -> None:
        """Close an intent that cannot be carried out; it stays on record."""
        with self._database.session() as session:
            session.run("promotion_abandon", promotion_id=promotion_id, why=why)

    def open_promotions(self, model: str) -> list[Intent]:
        """Intents that have not been finished, oldest first."""
        with self._database.session() as session:
            rows = session.rows("promotion_open", model_name=model)
        return [
            Intent(Promotion(*promotion), json.loads(evidence), reason, actor, decided_at)
            for *promotion, evidence, reason, actor, decided_at in rows
        ]

    def promotion_history(self, model: str) -> list[Promotion]:
        """Decisions that moved the champion, oldest first."""
        with self._database.session() as session:
            return [Promotion(*row) for row in session.rows("promotion_history", model_name=model)]

    # -- evaluation sets ------------------------------------------------------------------------

    def put_evaluation_set(self, eval_set: EvaluationSet) -> bool:
        """Freeze an evaluation set, or make the same one current again; returns whether it is new."""
        rows = [(*v.facts(), None, None)[:5] for v in eval_set.videos]
        with self._database.session() as session:
            known = (eval_set.set_hash,) in session.rows("evaluation_sets")
            session.give("given", EVALUATION, rows)
            session.run(
                "evaluation_set_put", eval_set_hash=eval_set.set_hash, collection=eval_set.collection,
                split=eval_set.split, now=now_utc(),
            )  # fmt: skip
        return not known

    def evaluation_set(self, set_hash: str | None = None) -> EvaluationSet | None:
        """The named evaluation set, or the current one."""
        with self._database.session() as session:
            rows = session.rows("evaluation_set_get", eval_set_hash=set_hash)
        if not rows:
            return None
        videos = tuple(
            EvaluationVideo(video_id, label, group, (start_s, end_s))
            for _, _, video_id, label, group, start_s, end_s, _ in rows
        )
        return EvaluationSet(rows[0][0], rows[0][1], videos, frozen=True, multi_label=rows[0][7])

    def evaluation_sets(self) -> list[str]:
        """Hashes of the evaluation sets, the current one first."""
        with self._database.session() as session:
            return [set_hash for (set_hash,) in session.rows("evaluation_sets")]

    # -- what versions were made from -----------------------------------------------------------

    def put_version_videos(
        self,
        version: VersionId,
        split_ids: Mapping[str, Sequence[str]],
        *,
        warm_start: VersionId | None = None,
    ) -> None:
        """Record the videos of a version's split, and the training videos of its warm start."""
        rows = [(video_id, split) for split, ids in split_ids.items() for video_id in ids]
        with self._database.session() as session:
            session.give("given", SPLIT_VIDEOS, rows)
            start = standing(session, warm_start) if warm_start else None
            session.run("version_videos_put", model_version=standing(session, version), warm_start=start)

    def versions_taught(self, video_id: str) -> list[int]:
        """Versions that were trained or validated on a video."""
        with self._database.session() as session:
            return [version for (version,) in session.rows("versions_taught", video_id=video_id)]

    # -- predictions ----------------------------------------------------------------------------

    def has_reference(self, version: VersionId) -> bool:
        """Whether a version's predictions on its own test split are known."""
        with self._database.session() as session:
            return bool(session.rows("reference_known", model_version=standing(session, version)))

    def put_reference(self, version: VersionId, counts: Mapping[tuple[str, int], int]) -> None:
        """Insert a version's counts of (label, score bin) on its own test split."""
        rows = [(label, score_bin, videos) for (label, score_bin), videos in counts.items()]
        with self._database.session() as session:
            session.give("given", COUNTS, rows)
            session.run("labels_put")
            session.run("reference_put", model_version=standing(session, version))

    def shadow_agreement(self, run_id: int, challenger: VersionId, champion: VersionId) -> tuple[int, int]:
        """Agreement on videos that a run scored in shadow and the champion scored: (all, same label)."""
        with self._database.session() as session:
            rows = session.rows(
                "shadow_agreement", run_id=run_id, challenger=standing(session, challenger),
                champion=standing(session, champion),
            )  # fmt: skip
        return int(rows[0][0]), int(rows[0][1])

    def agreeing_nights(self, challenger: VersionId, champion: VersionId, agreement: float) -> int:
        """Nights on which at least this share of the challenger's labels were the champion's."""
        with self._database.session() as session:
            rows = session.rows(
                "agreeing_nights", challenger=challenger.number, challenger_digest=challenger.digest,
                champion=champion.number, champion_digest=champion.digest, agreement=agreement,
            )  # fmt: skip
        return int(rows[0][0])
